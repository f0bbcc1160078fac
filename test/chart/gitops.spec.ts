/** The examples of deploy/gitops: what Argo CD and Flux would apply, and what both take for granted of a chart. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { chart, deploy, documents, only, podsOf, type Rendered, runHelm, tools } from "./helm-chart.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "fluo-kms-gitops-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(name: string): Rendered[] {
  return documents(readFileSync(join(deploy, "gitops", name), "utf8"));
}

/** What each says of a release, in one shape. */
const application = only(read("argo-cd.yaml"), "Application").spec;
const release = only(read("flux.yaml"), "HelmRelease");
const releases = {
  "Argo CD": {
    name: application.source.helm.releaseName,
    namespace: application.destination.namespace,
    path: application.source.path,
    values: application.source.helm.valuesObject,
  },
  Flux: {
    name: release.spec.releaseName,
    namespace: release.metadata.namespace,
    path: release.spec.chart.spec.chart,
    values: release.spec.values,
  },
};

describe.each(Object.entries(releases))("the example for %s", (tool, { name, namespace, path, values }) => {
  function render(): string {
    const file = join(folder, `${tool}.yaml`);
    writeFileSync(file, JSON.stringify(values));
    const { status, stdout, stderr } = runHelm([
      "template",
      name,
      join(root, path),
      "--namespace",
      namespace,
      "--values",
      file,
    ]);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }
  const text = render();
  const rendered = documents(text);

  it("is of this chart", () => {
    expect(join(root, path)).toBe(chart);
  });

  it("has values that the chart takes, for a service in full", () => {
    const kinds = new Set(rendered.map(({ kind }) => kind));
    for (const kind of ["Deployment", "CronJob", "Certificate", "HorizontalPodAutoscaler"])
      expect(kinds).toContain(kind);
  });

  it("renders the same each time, so that nothing is ever found to differ", () => {
    expect(render()).toBe(text);
  });

  it("leaves the number of replicas to the autoscaler, and sets it nowhere else", () => {
    expect(only(rendered, "Deployment").spec).not.toHaveProperty("replicas");
  });

  it("upgrades the store before the pods, with all that the job needs in the phase of the job", () => {
    const hooks = rendered.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"]?.includes("pre-upgrade"));
    expect(hooks.map(({ kind }) => kind).sort()).toEqual(["ConfigMap", "Job"]);
    const { spec } = podsOf(hooks)[0]!;
    const made = rendered.filter((each) => !hooks.includes(each)).map(({ metadata }) => metadata.name);
    const named = spec.volumes.map((volume: Rendered) => volume.configMap?.name).filter(Boolean);
    expect(named.filter((each: string) => made.includes(each))).toEqual([]);
    expect(spec.serviceAccountName).toBeUndefined();
  });

  it("keeps the volume of backups, whatever is pruned", () => {
    const { annotations } = only(rendered, "PersistentVolumeClaim").metadata;
    expect(annotations["helm.sh/resource-policy"]).toBe("keep");
    expect(annotations["argocd.argoproj.io/sync-options"]).toBe("Prune=false");
  });

  it("names a service account, and Secrets and ConfigMaps that are made elsewhere", () => {
    expect(only(rendered, "ServiceAccount").metadata.name).toBe("fluo-kms");
    expect(JSON.stringify(values)).not.toMatch(/password":|BEGIN|token":/);
  });
});

it("uses nothing in templates that differs from one rendering to the next, or that asks the cluster", () => {
  const templates = globSync(join(chart, "templates", "**", "*.{tpl,yaml,txt}"));
  expect(templates.length).toBeGreaterThan(10);
  for (const file of templates) {
    const text = readFileSync(file, "utf8");
    expect(text).not.toMatch(
      /\b(lookup|now|genCA|genSelfSignedCert|rand\w+|uuidv4|\.Release\.(Is\w+|Revision)|\.Capabilities)\b/,
    );
  }
});

it.each(["argo-cd.yaml", "flux.yaml"])("knows the fields of %s, by the definitions of its project", (name) => {
  const location = join(tools, "kubernetes-schemas", "custom", "{{ .ResourceKind }}{{ .KindSuffix }}.json");
  const file = join(deploy, "gitops", name);
  const args = ["-strict", "-summary", "-schema-location", location];
  const run = (of: string) => spawnSync(join(tools, "bin", "kubeconform"), [...args, of], { encoding: "utf8" });
  expect(run(file).stdout).toMatch(/Invalid: 0, Errors: 0, Skipped: 0/);
  const misspelt = join(folder, name);
  writeFileSync(misspelt, readFileSync(file, "utf8").replace("releaseName:", "releasename:"));
  expect(run(misspelt).stdout).toContain("additional properties 'releasename' not allowed");
});
