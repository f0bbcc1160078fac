/**
 * `npm run test:grpc-tools`: the service as people and Kubernetes meet it, by grpcurl, grpc-health-probe and plain HTTP. Installs the two
 * tools with Go into tools/bin, at fixed versions. Without Go there is nothing to test: said loudly, and with CI=true a failure.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const bin = join(root, "tools", "bin");
const tools = [
  { name: "grpcurl", module: "github.com/fullstorydev/grpcurl", package: "/cmd/grpcurl", version: "v1.9.4" },
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
    if (isInstalled(tool)) continue;
    const { module, package: path, version } = tool;
    const installed = run("go", ["install", `${module}${path}@${version}`], { GOBIN: bin });
    if (installed !== 0) {
      process.stdout.write("0 passed, 1 failed\n");
      return 1;
    }
  }
  return run("vitest", ["run", "--config", join("test", "grpc-tools", "vitest.config.ts"), ...process.argv.slice(2)]);
}

/** By what the binary says of itself, so that an older one is replaced. */
function isInstalled({ name, module, version }: (typeof tools)[number]): boolean {
  const { stdout } = spawnSync("go", ["version", "-m", join(bin, name)], { encoding: "utf8" });
  return stdout.includes(`\tmod\t${module}\t${version}\t`);
}

function run(command: string, args: readonly string[], env: Record<string, string> = {}): number {
  return spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } }).status ?? 1;
}
