/** What `npm ci` compiles once, no process compiles again: neither the first one nor its threads. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { flags } from "../../src/runtime/flags.js";

const root = join(import.meta.dirname, "..", "..");
const stripper = "NativeModule internal/deps/amaro/dist/index";

const url = (...path: string[]) => JSON.stringify(pathToFileURL(join(root, "src", ...path)).href);

/** Whether a process strips types that begins with this, and whether a thread of it does. */
function strips(begin: string): boolean[] {
  const thread = `
    import { parentPort } from "node:worker_threads";
    await import(${url("batch", "pool", "worker.ts")});
    parentPort.postMessage(process.moduleLoadList.includes("${stripper}"));
    process.exit();
  `;
  const script = `
    import { Worker } from "node:worker_threads";
    ${begin}
    await import(${url("cli", "run.ts")});
    const worker = new Worker(new URL("data:text/javascript,${encodeURIComponent(thread)}"));
    worker.on("message", (strips) => {
      console.log(JSON.stringify([process.moduleLoadList.includes("${stripper}"), strips]));
    });
  `;
  const args = [...flags, "--input-type=module", "-e", script];
  // The suite's own processes look into the cache.
  const env = { ...process.env, NODE_COMPILE_CACHE: undefined };
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", env }));
}

it("a process and its threads strip no types once the cache is filled", () => {
  const filling = spawnSync(process.execPath, [join(root, "scripts", "link-node.js")], { encoding: "utf8" });
  expect([filling.status, filling.stderr]).toEqual([0, ""]); // a module that throws would end it before the last one
  expect(strips(`(await import(${url("runtime", "compile-cache.js")})).keepCompiled();`)).toEqual([false, false]);
  expect(strips("")).toEqual([true, true]);
});
