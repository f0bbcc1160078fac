/**
 * `npm run test:grpc-tools`: the service as people and Kubernetes meet it, by grpcurl, grpc-health-probe and plain HTTP. The two tools are
 * installed with Go, at fixed versions: tools/spec-suite.ts says how. `-- NAME` runs one file,
 * `-- --short` leaves out what is repeated without a policy. The last line is `N passed, N failed`.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { type GoTool, installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";
import { type Need, need, runSpecs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");
const probe: GoTool = {
  name: "grpc-health-probe",
  module: "github.com/grpc-ecosystem/grpc-health-probe",
  package: "",
  version: "v0.4.61",
};
const tools: Need = {
  name: "gRPC tools",
  async install() {
    need("go", ["version"]);
    for (const tool of [grpcurl, probe]) await installGo(tool);
  },
};

const specs = globSync("test/grpc-tools/**/*.spec.ts", { cwd: root });

const words = process.argv.slice(2);
if (words.includes("--short")) {
  console.log("SHORT: the service without a policy is left out");
  words.push("--project=policy");
}
process.exitCode = await runSpecs("grpc-tools", Object.fromEntries(specs.map((spec) => [spec, [tools]])), words);
