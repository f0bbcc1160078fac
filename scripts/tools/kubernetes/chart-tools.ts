/** What reads a chart: Helm, kubeconform and kubernetes-validate, at fixed versions. Each throws where it cannot be had. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unpackDebian } from "../debian.ts";
import { type GoTool, go, installGo } from "../go.ts";
import { helm as helmProgram } from "../helm.ts";
import { installEnvironment } from "../python-environment.ts";
import { type Need, need } from "../spec-suite.ts";
import { writeSchemas } from "./schemas.ts";

const tools = join(import.meta.dirname, "..", "..", "..", "tools");
const bin = join(tools, "bin");
const validator = join(tools, "kubernetes-validate");

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

/** Debian's: kube-apiserver takes any of version 3.4 or later. */
export const etcd: Need = {
  name: "etcd",
  install: () => unpackDebian("etcd-server", join(tools, "etcd"), "usr/bin/etcd"),
};

/** Version of Kubernetes that apiserver/go.mod names. */
const version = /^require k8s\.io\/kubernetes (v[\d.]+)$/m;

/** kube-apiserver, built from its module: minutes where most of it was compiled before, an hour on a busy machine where not. */
export const apiserver: Need = {
  name: "kube-apiserver",
  install() {
    need("go", ["version"]);
    const folder = join(import.meta.dirname, "apiserver");
    const [, wanted] = version.exec(readFileSync(join(folder, "go.mod"), "utf8"))!;
    const program = join(bin, `kube-apiserver-${wanted}`);
    if (existsSync(program)) return;
    process.stderr.write("kube-apiserver is not here yet: Go builds it, once, in three minutes to an hour.\n");
    const [major, minor] = wanted!.slice(1).split(".");
    const named = { gitVersion: wanted, gitMajor: major, gitMinor: minor };
    const flags = Object.entries(named).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
    const args = ["-trimpath", "-buildvcs=false", `-ldflags=-s -w ${flags.join(" ")}`];
    go(["build", "-C", folder, ...args, "-o", program, "k8s.io/kubernetes/cmd/kube-apiserver"], {});
  },
};

function installProgram(program: GoTool): void {
  need("go", ["version"]);
  if (!existsSync(join(bin, program.name))) {
    process.stderr.write(`${program.name} is not here yet: Go downloads and builds it, once, in one to ten minutes.\n`);
  }
  installGo(program, bin);
}
