/** What is in the package: all that its code names, nothing that it does not need, and what tools of its registry look for. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, inject, it } from "vitest";
import { tools } from "../../scripts/tools/cache.ts";
import { command } from "../../scripts/tools/command.ts";

const tarball = inject("tarball");
// Apart from the one that other files run, which keeps there what Node made of it.
const unpacked = mkdtempSync(join(tmpdir(), "fluo-kms-contents-"));
command("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"]);
const packageJson = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8"));
const text = (file: string) => readFileSync(join(unpacked, file), "utf8");
const compiled = globSync("dist/**/*.js", { cwd: unpacked });

/** What `pattern` finds first in each module, behind the module. Comments name modules of the sources, and no files. */
function named(pattern: RegExp): [module: string, name: string][] {
  return compiled.flatMap((file) => {
    const code = text(file).replaceAll(/\/\*\*\s.*?\*\/|^ *\/\/.*?$/gms, "");
    return [...code.matchAll(pattern)].map(([, name, imported]): [string, string] => [file, name ?? imported!]);
  });
}

it("has every file that its modules name", () => {
  const imported = named(/^(?:import |export |} )(?:.* )?from "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm);
  const threads = named(/\bmoduleBeside\("([^"]+)", import\.meta\.url\)/g).map(([file, name]) => [file, `${name}.js`]);
  const files = named(/\bnew URL\("([^"]+)", import\.meta\.url\)/g);
  expect(imported.length).toBeGreaterThan(2_000);
  expect([threads.length, files.length]).toEqual([4, 2]);
  const absent = [...imported, ...threads, ...files].filter(
    ([file, name]) => !existsSync(join(unpacked, dirname(file!), name!)),
  );
  // The cache is made once there is something to keep.
  expect(absent).toEqual([["dist/src/runtime/compile-cache.js", "../../node_modules/.cache/fluo-kms"]]);
});

it("has the packages that its modules import among its dependencies", () => {
  const packages = named(/^(?:import |export |} )(?:.* )?from "([^."][^"]*)"|\bimport\("([^."][^"]+)"\)/gm)
    .map(([, name]) => name.split("/", name.startsWith("@") ? 2 : 1).join("/"))
    .filter((name) => !name.startsWith("node:") && name !== packageJson.name);
  expect([...new Set(packages)].filter((name) => !(name in packageJson.dependencies))).toEqual([]);
});

it("has what its manifest names, and besides only the licence, the first page and the proto", () => {
  for (const file of [...Object.values<string>(packageJson.bin), ...packageJson.files])
    expect(existsSync(join(unpacked, file)), file).toBe(true);
  expect(globSync("*", { cwd: unpacked }).sort()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "application.properties.example",
      "dist",
      "package.json",
      "proto",
      "src",
    ].sort(),
  );
  expect(globSync("{src,proto}/**/*.*", { cwd: unpacked }).filter((file) => !file.endsWith(".proto"))).toEqual([
    "src/main.js",
  ]);
  expect(globSync("dist/*", { cwd: unpacked }).sort()).toEqual(["dist/gen", "dist/src"]);
});

it("is as publint and attw like it", () => {
  const run = (name: string, ...args: string[]) =>
    execFileSync(join(tools, "package", "node_modules", ".bin", name), [...args, tarball], { encoding: "utf8" });
  expect(run("publint", "--strict")).toContain("All good!");
  expect(run("attw")).toContain("This package does not contain types."); // and has no module that could be imported
});

it("says what to install where its packages are not there", () => {
  const entry = join(unpacked, packageJson.bin["fluo-kms"]);
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, "--version"], { encoding: "utf8" });
  const why = `fluo-kms: its packages are not installed: run npm install in ${unpacked}\n`;
  expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: "", stderr: why });
});
