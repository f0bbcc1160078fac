/**
 * `npm run test:grpc-tools`: the service as people and Kubernetes meet it, by grpcurl, grpc-health-probe and plain HTTP. Installs the two
 * tools with Go into tools/bin, at fixed versions. Without Go there is nothing to test: said loudly, and with CI=true a failure.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";

const root = join(import.meta.dirname, "..");
const bin = join(root, "tools", "bin");
const tools = [
  grpcurl,
  { name: "grpc-health-probe", module: "github.com/grpc-ecosystem/grpc-health-probe", package: "", version: "v0.4.61" },
];

process.exitCode = main();

function main(): number {
  if (spawnSync("go", ["version"]).status !== 0) {
    const failed = process.env.CI === "true" ? 1 : 0;
    const what = failed === 1 ? "FAILED" : "SKIPPED";
    process.stderr.write(
      `${what}: the gRPC tools are not tested, as there is no Go to install them; put go on the PATH\n`,
    );
    process.stdout.write(`0 passed, ${failed} failed\n`);
    return failed;
  }
  for (const tool of tools) {
    try {
      installGo(tool, bin);
    } catch (error) {
      process.stderr.write(`FAILED: ${tool.name} is not installed: ${error}\n`);
      process.stdout.write("0 passed, 1 failed\n");
      return 1;
    }
  }
  return run("vitest", ["run", "--config", join("test", "grpc-tools", "vitest.config.ts"), ...process.argv.slice(2)]);
}

function run(command: string, args: readonly string[]): number {
  return spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;
}
