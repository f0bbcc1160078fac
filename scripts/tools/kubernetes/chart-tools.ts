/** What reads a chart: Helm, kubeconform and kubernetes-validate, at fixed versions. Each throws where it cannot be had. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cached, linkTool } from "../cache.ts";
import { command } from "../command.ts";
import { unpackDebian } from "../debian.ts";
import { type GoTool, goVersion, installGo } from "../go.ts";
import { helm as helmProgram } from "../helm.ts";
import { installEnvironment } from "../python-environment.ts";
import { type Need, need } from "../spec-suite.ts";
import { installSchemas } from "./schemas.ts";

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
    const requirements = join(import.meta.dirname, "kubernetes-validate.txt");
    const validator = await installEnvironment("kubernetes-validate", requirements, works);
    need("go", ["version"]);
    await installSchemas(validator);
  },
};

/** Debian's: kube-apiserver takes any of version 3.4 or later. */
export const etcd: Need = {
  name: "etcd",
  install: async () => void linkTool("etcd", await unpackDebian("etcd-server")),
};

const program = "kube-apiserver";

/** Version of Kubernetes that apiserver/go.mod names. */
const version = /^require k8s\.io\/kubernetes (v[\d.]+)$/m;

/** kube-apiserver, built from its module: minutes where most of it was compiled before, an hour on a busy machine where not. */
export const apiserver: Need = {
  name: "kube-apiserver",
  async install() {
    need("go", ["version"]);
    const sources = join(import.meta.dirname, "apiserver");
    const inputs = ["go.mod", "go.sum", "tools.go"].map((file) => readFileSync(join(sources, file), "utf8"));
    const [, wanted] = version.exec(inputs[0]!)!;
    const [major, minor] = wanted!.slice(1).split(".");
    const named = { gitVersion: wanted, gitMajor: major, gitMinor: minor };
    const flags = Object.entries(named).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
    const args = ["-trimpath", "-buildvcs=false", `-ldflags=-s -w ${flags.join(" ")}`];
    const folder = await cached("kube-apiserver", [...inputs, ...args, goVersion()], (made) => {
      process.stderr.write("Go builds kube-apiserver in three minutes to an hour.\n");
      command("go", [
        "build",
        "-C",
        sources,
        ...args,
        "-o",
        join(made, program),
        "k8s.io/kubernetes/cmd/kube-apiserver",
      ]);
    });
    linkTool(join("bin", program), join(folder, program));
  },
};

async function installProgram(tool: GoTool): Promise<void> {
  need("go", ["version"]);
  await installGo(tool);
}
