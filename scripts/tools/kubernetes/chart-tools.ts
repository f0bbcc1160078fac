/** What reads a chart: Helm, kubeconform and kubernetes-validate, at fixed versions. Each throws where it cannot be had. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type GoTool, installGo } from "../go.ts";
import { installEnvironment } from "../python-environment.ts";
import { type Need, need } from "../spec-suite.ts";
import { writeSchemas } from "./schemas.ts";

const tools = join(import.meta.dirname, "..", "..", "..", "tools");
const bin = join(tools, "bin");
const validator = join(tools, "kubernetes-validate");

const helmProgram: GoTool = { name: "helm", module: "helm.sh/helm/v4", package: "/cmd/helm", version: "v4.3.1" };
const kubeconformProgram: GoTool = {
  name: "kubeconform",
  module: "github.com/yannh/kubeconform",
  package: "/cmd/kubeconform",
  version: "v0.7.0",
};

export const helm: Need = { name: "Helm", install: () => installProgram(helmProgram) };
export const kubeconform: Need = { name: "kubeconform", install: () => installProgram(kubeconformProgram) };

/** kubernetes-validate brings the schemas of Kubernetes, which kubeconform reads too. Those of custom resources are their projects'. */
export const schemas: Need = {
  name: "schemas of Kubernetes",
  async install() {
    const works = ["kubernetes-validate", "--version"] as const;
    await installEnvironment(validator, join(import.meta.dirname, "kubernetes-validate.txt"), works);
    need("go", ["version"]);
    writeSchemas(validator, join(tools, "kubernetes-schemas"));
  },
};

function installProgram(program: GoTool): void {
  need("go", ["version"]);
  if (!existsSync(join(bin, program.name))) {
    process.stderr.write(`${program.name} is not here yet: Go downloads and builds it, once, in one to ten minutes.\n`);
  }
  installGo(program, bin);
}
