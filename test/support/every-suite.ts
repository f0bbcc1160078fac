/** What every suite's configuration has. */
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { compileCache } from "../../src/runtime/compile-cache.js";
import { hung } from "./hung.ts";

/** Paths with blanks between them, to repeat what one worker did. */
const recordedOrder = process.env.TEST_ORDER?.split(" ");

class RecordedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => recordedOrder!.indexOf(moduleId);
    return files.sort((a, b) => place(a) - place(b));
  }
}

export const everySuite = {
  globalSetup: ["./test/support/temporary-folder.ts", "./test/support/run-postgres.ts"],
  setupFiles: ["./test/support/measured.ts", "./test/support/matchers.ts"],
  reporters: ["default", "./test/support/summary-reporter.ts"],
  // Threads of a store that a test opens begin as fast as those of a service: half of the time of many tests.
  env: { NODE_COMPILE_CACHE: compileCache },
  ...(recordedOrder && { sequence: { sequencer: RecordedOrder } }),
  ...hung,
};
