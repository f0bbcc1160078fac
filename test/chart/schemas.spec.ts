/** Each example against the schemas of Kubernetes, at the least version and the newest, and of the projects of its custom resources. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { kubernetesVersions } from "../../scripts/tools/kubernetes/schemas.ts";
import { firstOfEach } from "../support/short.ts";
import { deploy, documents, examples, template, tools } from "./helm-chart.ts";

const folder = mkdtempSync(join(tmpdir(), "fluo-kms-chart-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const custom = ["monitoring.coreos.com/v1", "cert-manager.io/v1"];

function written(name: string, text: string): string {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, text);
  return file;
}

function run(program: string, args: readonly string[]): { status: number | null; said: string } {
  const { error, status, stdout, stderr } = spawnSync(join(tools, program), args, { encoding: "utf8" });
  if (error) throw error;
  return { status, said: stdout + stderr };
}

function conforms(file: string, version: string) {
  const places = [version, "custom"].flatMap((place) => [
    ...["-schema-location", join(tools, "kubernetes-schemas", place, "{{ .ResourceKind }}{{ .KindSuffix }}.json")],
  ]);
  return run("bin/kubeconform", ["-strict", "-summary", ...places, file]);
}

function validates(file: string, version: string) {
  return run("kubernetes-validate/bin/kubernetes-validate", ["--strict", "-k", version, file]);
}

/** kubernetes-validate has no schemas of custom resources, and fails where one is. */
function withoutCustom(text: string): string {
  return text
    .split(/^---$/m)
    .filter((each) => !custom.some((version) => each.includes(`\napiVersion: ${version}\n`)))
    .join("---");
}

describe.each(firstOfEach(kubernetesVersions))("Kubernetes %s", (version) => {
  it.each(firstOfEach(examples))("knows all of %s, by kubeconform", (example) => {
    const text = template(example);
    const { status, said } = conforms(written(example, text), version);
    const count = documents(text).length;
    expect(said).toContain(
      `Summary: ${count} resources found in 1 file - Valid: ${count}, Invalid: 0, Errors: 0, Skipped: 0`,
    );
    expect(status).toBe(0);
  });

  it.each(firstOfEach(examples))("knows all of %s, by kubernetes-validate", (example) => {
    const { status, said } = validates(written(`plain-${example}`, withoutCustom(template(example))), version);
    expect(said).not.toMatch(/error/i);
    expect(status).toBe(0);
  });

  it("knows all of the Collector of deploy/collector", () => {
    const file = join(deploy, "collector", "deployment.yaml");
    expect(conforms(file, version).said).toContain("Valid: 2, Invalid: 0, Errors: 0, Skipped: 0");
    expect(validates(file, version).status).toBe(0);
  });

  it("would see a field that is misspelt, in each of both and in a custom resource", () => {
    const text = template("postgres").replaceAll("readOnlyRootFilesystem", "readonlyRootFilesystem");
    const file = written("misspelt", text);
    expect(conforms(file, version).said).toContain("additional properties 'readonlyRootFilesystem' not allowed");
    expect(validates(file, version).status).not.toBe(0);
    const monitor = written("monitor", template("monitoring").replace("jobLabel:", "joblabel:"));
    expect(conforms(monitor, version).said).toContain("additional properties 'joblabel' not allowed");
    const certificate = written("certificate", template("cert-manager").replace("dnsNames:", "dnsnames:"));
    expect(conforms(certificate, version).said).toContain("additional properties 'dnsnames' not allowed");
  });
});
