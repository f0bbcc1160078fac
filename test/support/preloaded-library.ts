/** A library in C that a process loads ahead of the C library, by LD_PRELOAD: Node, and the SQLite in it, make their calls through it. */
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";

/** Why none can be made here, if so. */
export function whyNotPreloaded(): string | undefined {
  if (process.platform !== "linux") return "a library can be loaded ahead of others on Linux only";
  if (spawnSync(compiler(), ["--version"]).status !== 0) return "there is no C compiler: install cc, or set CC";
  return undefined;
}

/** Compiles `source`, and gives the path of the library in `folder`. */
export function compiledLibrary(source: string, folder: string): string {
  const library = join(folder, basename(source).replace(/\.c$/, ".so"));
  const { status, stderr } = spawnSync(
    compiler(),
    ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`cannot compile ${source}: ${stderr}`);
  return library;
}

function compiler(): string {
  return process.env.CC ?? "cc";
}
