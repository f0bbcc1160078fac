/** The chart on a real kube-apiserver: every object is admitted, pods are under the restricted policy, and Helm installs and upgrades. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { customResourceDefinitions } from "../../scripts/tools/kubernetes/schemas.ts";
import { chart, examples, objects, podsOf, type Rendered, runHelm, valuesOf } from "../chart/helm-chart.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { wordsIn } from "../support/words.ts";

const namespace = "fluo";
const pods = `/api/v1/namespaces/${namespace}/pods`;
const dryRun = "dryRun=All&fieldValidation=Strict";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  const made = await cluster.call("POST", "/api/v1/namespaces", { metadata: { name: namespace, labels } });
  expect(made.status).toBe(201);
  for (const definition of customResourceDefinitions()) {
    const { status, answer } = await cluster.call(
      ...(["POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition] as const),
    );
    expect(answer.message).toBeUndefined();
    expect(status).toBe(201);
  }
});
afterAll(() => cluster?.end());

/** Where objects of a kind are, in the words of the server itself. */
async function pathOf({ apiVersion, kind }: Rendered): Promise<string> {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  await expect.poll(async () => (await cluster.call("GET", group)).status).toBe(200);
  const { answer } = await cluster.call("GET", group);
  const resource = answer.resources.find((each: Rendered) => each.kind === kind && !each.name.includes("/"));
  return `${group}/namespaces/${namespace}/${resource.name}`;
}

function helm(...args: string[]): void {
  const { status, stdout, stderr } = runHelm([...args, "--namespace", namespace, "--kubeconfig", cluster.kubeconfig]);
  if (status !== 0) throw new Error(stdout + stderr);
}

/** There is nobody to run the hook's job. */
function put(
  verb: "install" | "upgrade",
  release: string,
  example: string | readonly string[],
  ...set: string[]
): void {
  helm(verb, release, chart, "--no-hooks", ...valuesOf(example, set));
}

/** As a cluster does that runs pods: with the default account where none is named, and the volumes of a StatefulSet's claims. */
function completed(spec: Rendered): Rendered {
  const mounts = spec.containers.flatMap(({ volumeMounts }: Rendered) => volumeMounts);
  const has = (name: string) => spec.volumes.some((volume: Rendered) => volume.name === name);
  const ofClaims = mounts
    .filter(({ name }: Rendered) => ["state", "backup"].includes(name) && !has(name))
    .map(({ name }: Rendered) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { serviceAccountName: "default", ...spec, volumes: [...spec.volumes, ...ofClaims] };
}

/** Examples that fit together, so that everything that can be on is on at once. */
const everything = wordsIn(`
  postgres network-policy monitoring cert-manager scheduling autoscaling extras labels openshift
`);
const each = [...examples.map((name) => ({ name, of: name })), { name: "everything at once", of: everything }];

describe.each(each)("$name", ({ of }) => {
  const rendered = objects(of);

  it("has objects that the server admits, without a warning of a field that it does not know", async () => {
    for (const each of rendered) {
      const { status, answer } = await cluster.call("POST", `${await pathOf(each)}?${dryRun}`, each);
      expect([each.kind, status, answer.message]).toEqual([each.kind, 201, undefined]);
    }
  });

  it("has pods that the restricted policy admits", async () => {
    for (const { metadata, spec } of podsOf(rendered)) {
      const pod = { metadata: { ...metadata, name: "a-pod" }, spec: completed(spec) };
      const { status, answer } = await cluster.call("POST", `${pods}?${dryRun}`, pod);
      expect([status, answer.message]).toEqual([201, undefined]);
    }
  });
});

it("has a policy that refuses a plain pod", async () => {
  const pod = { metadata: { name: "a-pod" }, spec: { containers: [{ name: "plain", image: "plain" }] } };
  const { status, answer } = await cluster.call("POST", `${pods}?${dryRun}`, pod);
  expect(status).toBe(403);
  expect(answer.message).toContain('violates PodSecurity "restricted');
});

describe("Helm", () => {
  const deployment = async (release: string) => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${release}-fluo-kms`;
    const { status, answer } = await cluster.call("GET", path);
    expect(status).toBe(200);
    return answer;
  };

  it("installs, and upgrades: a policy makes no new generation, a setting does", async () => {
    put("install", "first", "aws-irsa");
    expect((await deployment("first")).metadata.generation).toBe(1);
    put("upgrade", "first", "aws-irsa", 'policy.files={"policy.yaml": "version: 1\\nrules: []\\n"}');
    const path = `/api/v1/namespaces/${namespace}/configmaps/first-fluo-kms-policy`;
    const { answer } = await cluster.call("GET", path);
    expect(answer.data["policy.yaml"]).toBe("version: 1\nrules: []\n");
    expect((await deployment("first")).metadata.generation).toBe(1);
    put("upgrade", "first", "aws-irsa", 'settings={"kms.cache.ttl": "30m"}');
    expect((await deployment("first")).metadata.generation).toBe(2);
    helm("uninstall", "first", "--no-hooks");
  });

  it("installs and upgrades with everything at once, and gives an object to every name", async () => {
    put("install", "whole", everything);
    put("upgrade", "whole", everything, 'settings={"kms.cache.ttl": "30m"}');
    expect((await deployment("whole")).metadata).toMatchObject({ generation: 2, labels: { team: "payments" } });
    const kinds = new Set(objects(everything).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual([
      ...["Certificate", "ConfigMap", "CronJob", "Deployment", "HorizontalPodAutoscaler", "Job", "NetworkPolicy"],
      ...["PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "PrometheusRule", "Service", "ServiceAccount"],
      "ServiceMonitor",
    ]);
    helm("uninstall", "whole", "--no-hooks");
  });

  it("leaves the number of replicas to the autoscaler at an upgrade", async () => {
    put("install", "scaled", "postgres");
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/scaled-fluo-kms/scale`;
    const { answer: scale } = await cluster.call("GET", path);
    await cluster.call("PUT", path, { ...scale, spec: { replicas: 5 } });
    put("upgrade", "scaled", "postgres", 'podAnnotations={"a": "b"}');
    expect((await deployment("scaled")).spec.replicas).toBe(5);
    helm("uninstall", "scaled", "--no-hooks");
  });

  it("keeps the volume of backups when the release goes", async () => {
    put("install", "kept", "postgres");
    helm("uninstall", "kept", "--no-hooks");
    const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/kept-fluo-kms-backup`;
    expect((await cluster.call("GET", path)).status).toBe(200);
  });

  it("upgrades a StatefulSet, whose volumes are as before", async () => {
    put("install", "lite", "sqlite");
    put("upgrade", "lite", "sqlite", 'settings={"kms.cache.ttl": "30m"}');
    const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/lite-fluo-kms`;
    expect((await cluster.call("GET", path)).answer.metadata.generation).toBe(2);
    helm("uninstall", "lite", "--no-hooks");
  });
});
