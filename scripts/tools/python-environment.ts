/** Packages of PyPI in a Python environment of their own, at the versions and with the hashes of a file. */
import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, linkTool } from "./cache.ts";
import { command } from "./command.ts";

const exactly = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check"] as const;
/** Longer files in a `bin` are no scripts. */
const maxScriptBytes = 65_536;

/**
 * Installs the environment as `tools/NAME`, and returns its folder. `works` is a command of the environment that ends well if all is right.
 * Throws if the environment cannot be had.
 */
export async function installEnvironment(
  name: string,
  requirements: string,
  works: readonly [string, ...string[]],
): Promise<string> {
  const wanted = await readFile(requirements, "utf8");
  const folder = await cached(name.replaceAll("/", "-"), [wanted, python()], (made, place) => {
    command("python3", ["-m", "venv", made]);
    command(join(made, "bin", "python"), ["-m", "pip", "install", "--quiet", ...exactly, "-r", requirements]);
    const [program, ...args] = works;
    command(join(made, "bin", program), args);
    relocate(made, place);
  });
  linkTool(name, folder);
  return folder;
}

/** Returns the version of the Python on the PATH and its place, which environments lead to. */
function python(): string {
  return command("python3", ["-c", "import sys; print(sys.version, sys.base_prefix)"]);
}

/** Programs of an environment name its path in their first lines. */
function relocate(made: string, place: string): void {
  const programs = readdirSync(join(made, "bin")).map((name) => join(made, "bin", name));
  for (const file of [...programs, join(made, "pyvenv.cfg")]) {
    const found = lstatSync(file);
    if (!found.isFile() || found.size > maxScriptBytes) continue;
    const text = readFileSync(file, "latin1");
    if (text.includes(made)) writeFileSync(file, text.replaceAll(made, place), "latin1");
  }
}
