/** What every suite's configuration has. */
import { compileCache } from "../../src/runtime/compile-cache.js";
import { hung } from "./hung.ts";
import { RecordedOrder, recordedOrder } from "./recorded-order.ts";

export const everySuite = {
  globalSetup: ["./test/support/temporary-folder.ts", "./test/support/run-postgres.ts"],
  setupFiles: ["./test/support/measured.ts", "./test/support/matchers.ts"],
  reporters: ["default", "./test/support/summary-reporter.ts"],
  // Threads of a store that a test opens begin as fast as those of a service: half of the time of many tests.
  env: { NODE_COMPILE_CACHE: compileCache },
  ...(recordedOrder && { sequence: { sequencer: RecordedOrder } }),
  ...hung,
};
