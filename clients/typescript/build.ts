/**
 * Makes `dist/`: the package's JavaScript and types, with the messages of the root's `gen/ts` compiled in, and `verify.js` as one file without
 * imports, which a page can serve as it is.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { rolldown } from "rolldown";

const here = import.meta.dirname;
const [build, dist] = [join(here, "build"), join(here, "dist")];
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

for (const folder of [build, dist]) rmSync(folder, { recursive: true, force: true });
// The first knows neither DOM nor Node: the verifier needs none.
for (const project of ["tsconfig.verify.json", "tsconfig.build.json"]) {
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(here, project)], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}
cpSync(join(build, "clients", "typescript", "src"), dist, { recursive: true });
cpSync(join(build, "gen", "ts"), join(dist, "gen"), { recursive: true });
rmSync(build, { recursive: true });

// The messages lie elsewhere in the package than in the repository. One file alone names where.
for (const name of ["messages.js", "messages.d.ts"]) {
  const file = join(dist, name);
  writeFileSync(file, readFileSync(file, "utf8").replaceAll("../../../gen/ts/", "./gen/"));
}
const strays = files(dist).filter((file) => readFileSync(file, "utf8").includes("/gen/ts/"));
if (strays.length > 0) throw new Error(`these import messages past messages.ts: ${strays.join(", ")}`);

const bundle = await rolldown({ input: join(dist, "verify.js"), platform: "neutral" });
const { output } = await bundle.write({ file: join(dist, "verify.js"), format: "esm" });
await bundle.close();
if (output.length !== 1 || output[0].imports.length > 0) throw new Error("verify.js is not one file without imports");
// The fake has the verifier's parts in it as well.
const fake = await rolldown({
  input: join(dist, "testing.js"),
  platform: "node",
  external: (id) => !/(^|\/)(testing|verify)(\.js|\/)/.test(id) && !/^\.\/[\w-]+\.js$/.test(id),
});
await fake.write({ file: join(dist, "testing.js"), format: "esm" });
await fake.close();
for (const file of files(join(dist, "testing"))) if (file.endsWith(".js")) rmSync(file);
// What is in the one file; their types stay.
for (const file of files(join(dist, "verify"))) if (file.endsWith(".js")) rmSync(file);
chmodSync(join(dist, "command.js"), 0o755);

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
}
