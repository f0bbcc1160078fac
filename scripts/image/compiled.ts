/**
 * Fills the compile cache of the finished root, under the path, the user and the flags that it is read with: V8 and Node believe no other.
 */
import { chownSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import { entrypoint, nonroot, root } from "./recipe.ts";
import { sandboxed } from "./sandbox.ts";

const main = entrypoint.at(-1)!;

/**
 * Makes two builds write the same bytes. V8 writes hashes, which it seeds at random, and what a collection of garbage left of each function, so
 * there is one seed and room enough for no collection. None of these flags is among those that V8 compares.
 */
const deterministic = [
  ...["--random-seed=1", "--predictable", "--v8-pool-size=0", "--no-memory-reducer"],
  ...["--min-semi-space-size=512", "--max-semi-space-size=512", "--max-old-space-size=4000"],
];

export function fillCompileCache(rootfs: string, work: string): void {
  const cache = "/app/node_modules/.cache";
  const [filled, scripts] = [join(work, "compiled"), join(rootfs, "app", "scripts")];
  mkdirSync(filled);
  if (process.getuid?.() === 0) chownSync(filled, nonroot, nonroot);
  for (const folder of [scripts, join(rootfs, cache)]) mkdirSync(folder);
  cpSync(join(root, "scripts", "fill-compile-cache.ts"), join(scripts, "fill-compile-cache.ts"));
  const [name, ...args] = sandboxed({
    rootfs,
    mounts: ["--bind", filled, cache],
    command: [...entrypoint.filter((word) => word !== main), ...deterministic, "/app/scripts/fill-compile-cache.ts"],
  });
  command(name!, args);
  rmSync(scripts, { recursive: true });
  cpSync(filled, join(rootfs, cache), { recursive: true });
}
