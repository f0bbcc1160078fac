/**
 * Entry of the process that makes one backup for a service, which asks by a message and gets one back. In JavaScript, so that the compile
 * cache is on before anything else is loaded.
 */
import { keepCompiled } from "../runtime/compile-cache.js";

// A service that is gone needs no backup; the next one removes the draft.
process.on("disconnect", () => process.exit(1));
process.once("message", async (order) => {
  keepCompiled();
  /** @type {typeof import("./order.ts")} */
  const { answerTo } = await import(String(process.argv[2])); // the service knows whether it is TypeScript or compiled
  const answer = await answerTo(/** @type {import("./order.ts").Order} */ (order));
  process.send?.(answer, () => process.disconnect?.());
});
