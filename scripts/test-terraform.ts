/**
 * `npm run test:terraform`: the module by Terraform's own checks and tests, and applied to ministack, with the service started on what
 * it made. Terraform and a mirror of its AWS provider must be there: neither is downloaded, and without them nothing is run, which is a
 * failure with TEST_ALL=1 alone, as not every machine that runs the gate has them. ministack is installed with Python: tools/spec-suite.ts
 * says how. `-- NAME` runs one file, `-- --short` does not apply the module. The last line is `N passed, N failed`.
 */
import { isThere } from "./tools/command.ts";
import { installMinistack } from "./tools/ministack.ts";
import { notRun } from "./tools/not-run.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";
import { terraformMirror } from "./tools/terraform-mirror.ts";

const ministack: Need = {
  name: "ministack",
  async install() {
    need("python3", ["-m", "venv", "--help"]);
    await installMinistack();
  },
};

const specs: Specs = { module: [], apply: [ministack] };

process.exitCode = await main();

async function main(): Promise<number> {
  if (!isThere("terraform", ["version"])) return without("there is no terraform; put it on the PATH");
  const mirror = terraformMirror();
  if (mirror === undefined) {
    return without("there is no AWS provider; name a folder made by `terraform providers mirror` in TF_PLUGIN_MIRROR");
  }
  process.env.TF_PLUGIN_MIRROR = mirror;
  return runSpecs("terraform", specs, process.argv.slice(2), ["apply"]);
}

function without(why: string): number {
  const failed = notRun("terraform", why, process.env.TEST_ALL === "1");
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed;
}
