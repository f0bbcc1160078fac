/**
 * `npm run test:terraform`: the module by Terraform's own checks and tests, and applied to ministack, with the service started on what
 * it made. Terraform and a mirror of its AWS provider must be there: neither is downloaded, and without them nothing is tested, said
 * loudly, with CI=true too, as not every machine that runs the gate has them. ministack is installed with Python, which the gate has.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installMinistack } from "./tools/ministack.ts";
import { terraformMirror } from "./tools/terraform-mirror.ts";

const root = join(import.meta.dirname, "..");

process.exitCode = await main();

async function main(): Promise<number> {
  if (spawnSync("terraform", ["version"]).status !== 0) {
    return without("SKIPPED: the Terraform module is not tested, as there is no terraform; put it on the PATH");
  }
  const mirror = terraformMirror();
  if (mirror === undefined) {
    return without(
      "SKIPPED: the Terraform module is not tested, as there is no AWS provider; name a folder made by `terraform providers mirror` in TF_PLUGIN_MIRROR",
    );
  }
  const specs = ["test/terraform/module.spec.ts"];
  if (spawnSync("python3", ["-m", "venv", "--help"]).status === 0) {
    try {
      await installMinistack(join(root, "tools"));
    } catch (error) {
      return without(`FAILED: ministack is not installed: ${error}`, 1);
    }
    specs.push("test/terraform/apply.spec.ts");
  } else if (process.env.CI === "true") {
    return without("FAILED: the module is not applied, as there is no python3 with venv to install ministack", 1);
  } else {
    process.stderr.write("SKIPPED: the module is not applied, as there is no python3 with venv to install ministack\n");
  }
  const args = ["run", "--config", join("test", "terraform", "vitest.config.ts"), ...specs, ...process.argv.slice(2)];
  const env = { ...process.env, TF_PLUGIN_MIRROR: mirror };
  return spawnSync("vitest", args, { cwd: root, stdio: "inherit", env }).status ?? 1;
}

function without(why: string, failed = 0): number {
  process.stderr.write(`${why}\n`);
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed;
}
