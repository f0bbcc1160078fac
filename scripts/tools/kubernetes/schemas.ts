/**
 * Schemas for kubeconform, a file for each kind: those of Kubernetes with the definitions that they name inside, from kubernetes-validate;
 * and those of custom resources, from the definitions that their projects' modules carry. All are strict: an unknown field is refused.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parse } from "yaml";
import { cached, linkTool } from "../cache.ts";
import { command } from "../command.ts";

/** The least version that the chart supports, and the newest that there are schemas of. */
export const kubernetesVersions = ["1.29.0", "1.37.0"] as const;

/** Changes where what is made of them does. */
const form = 2;

const kinds = [
  ...["configmap-v1", "service-v1", "serviceaccount-v1", "persistentvolumeclaim-v1", "pod-v1", "deployment-apps-v1"],
  ...["statefulset-apps-v1", "job-batch-v1", "cronjob-batch-v1", "poddisruptionbudget-policy-v1"],
  ...["networkpolicy-networking-v1", "horizontalpodautoscaler-autoscaling-v2"],
];

const modules = [
  {
    module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    folder: "example/prometheus-operator-crd",
    files: ["monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"],
  },
  {
    module: "github.com/cert-manager/cert-manager@v1.21.2",
    folder: "deploy/crds",
    files: ["cert-manager.io_certificates.yaml"],
  },
  {
    module: "github.com/argoproj/argo-cd/v3@v3.2.0",
    folder: "manifests/crds",
    files: ["application-crd.yaml"],
  },
  {
    module: "github.com/fluxcd/helm-controller@v1.4.0",
    folder: "config/crd/bases",
    files: ["helm.toolkit.fluxcd.io_helmreleases.yaml"],
  },
  {
    module: "github.com/fluxcd/source-controller@v1.7.0",
    folder: "config/crd/bases",
    files: ["source.toolkit.fluxcd.io_gitrepositories.yaml"],
  },
] as const;

type Json = { [name: string]: unknown };

/** Installs them as `tools/kubernetes-schemas`. `validator` is the Python environment. */
export async function installSchemas(validator: string): Promise<void> {
  const defined = JSON.stringify([form, kubernetesVersions, kinds, modules]);
  const folder = await cached("kubernetes-schemas", [defined, basename(validator)], (made) => {
    for (const version of kubernetesVersions) {
      mkdirSync(join(made, version));
      for (const kind of kinds) writeJson(join(made, version, `${kind}.json`), bundled(validator, version, kind));
    }
    mkdirSync(join(made, "custom"));
    for (const each of customResourceDefinitions()) writeCustom(each, join(made, "custom"));
  });
  linkTool("kubernetes-schemas", folder);
}

/** One kind with the definitions that it names, and that those name: all of them take kubeconform seconds for each kind. */
function bundled(validator: string, version: string, kind: string): Json {
  const pattern = join(validator, "lib", "*", "site-packages", "kubernetes_validate", "kubernetes-json-schema");
  const [all] = globSync(join(pattern, `v${version}-local-strict`));
  if (all === undefined) throw new Error(`kubernetes-validate has no schemas of ${version}`);
  const read = (name: string): Json => {
    const text = readFileSync(join(all, `${name}.json`), "utf8");
    return JSON.parse(text.replaceAll('"/api/_definitions.json#/', '"#/'));
  };
  const known = read("_definitions").$defs as Json;
  const $defs: Json = {};
  const add = (schema: unknown) => {
    for (const [, name] of JSON.stringify(schema).matchAll(/"#\/\$defs\/([^"]+)"/g)) {
      if (name! in $defs) continue;
      $defs[name!] = known[name!];
      add(known[name!]);
    }
  };
  const schema = read(kind);
  add(schema);
  return { ...schema, $defs };
}

/** Gives them unchanged, as their projects publish them. */
export function customResourceDefinitions(): Json[] {
  return modules.flatMap(({ module, folder, files }) => {
    const stdout = command("go", ["mod", "download", "-json", module], { cwd: tmpdir() });
    const { Dir } = JSON.parse(stdout) as { Dir: string };
    return files.map((file) => parse(readFileSync(join(Dir, folder, file), "utf8")) as Json);
  });
}

function writeCustom(definition: Json, into: string): void {
  // biome-ignore lint/suspicious/noExplicitAny: of another project, and read here alone
  const { spec } = definition as any;
  const group = spec.group.split(".")[0];
  for (const { name, schema } of spec.versions) {
    const kind = `${spec.names.kind.toLowerCase()}-${group}-${name}`;
    writeJson(join(into, `${kind}.json`), strict(schema.openAPIV3Schema) as Json);
  }
}

/** No other fields than those that are named, as kube-apiserver has it with strict validation. `metadata` is any object's. */
function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict);
  if (typeof value !== "object" || value === null) return value;
  const schema = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, strict(each)])) as Json;
  if (schema["x-kubernetes-int-or-string"]) return {};
  const isClosed = schema.type === "object" && schema.properties && !schema["x-kubernetes-preserve-unknown-fields"];
  return isClosed && !("additionalProperties" in schema) ? { ...schema, additionalProperties: false } : schema;
}

function writeJson(file: string, value: Json): void {
  writeFileSync(file, JSON.stringify(value));
}
