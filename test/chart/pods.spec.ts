/** What every pod of the chart is, and what makes a new one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  deploy,
  documents,
  examples,
  objects,
  only,
  podsOf,
  type Rendered,
  servicePod,
  template,
} from "./helm-chart.ts";

const collector = documents(readFileSync(join(deploy, "collector", "deployment.yaml"), "utf8"));
const rendered = [
  ["collector", collector] as const,
  ...examples.map((example) => [example, objects(example)] as const),
];
const all = rendered.flatMap(([example, from]) =>
  podsOf(from).map((pod) => ({ ...pod, name: `${example}, ${pod.name}` })),
);

function service(example: string, set: readonly string[] = []): Rendered {
  return servicePod(objects(example, set)).spec;
}

function isPartOf(wanted: Rendered, labels: Rendered): boolean {
  const names = Object.keys(wanted);
  return names.length > 0 && names.every((name) => labels[name] === wanted[name]);
}

function containersOf(spec: Rendered): Rendered[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Examples that leave users and groups to the cluster, and that have a limit of CPU. */
const [ofCluster, limited] = [/^openshift, /, /^scheduling, /];

describe.each(all)("$name", ({ name, spec }) => {
  it("runs as nobody, who can gain nothing", () => {
    const nobody = { runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532 };
    expect(spec.securityContext).toEqual({
      ...(ofCluster.test(name) ? {} : nobody),
      runAsNonRoot: true,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    });
    for (const { securityContext } of containersOf(spec)) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
    for (const name of ["hostNetwork", "hostPID", "hostIPC"]) expect(spec).not.toHaveProperty(name);
  });

  it("has no token of the API, and no variables of other services", () => {
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
  });

  it("has a limit of memory, as much as it requests, and none of CPU unless it is given", () => {
    for (const { resources } of containersOf(spec)) {
      const cpu = limited.test(name) ? { cpu: "4" } : {};
      expect(resources.limits).toEqual({ memory: resources.requests.memory, ...cpu });
      expect(resources.requests.cpu).toBeDefined();
    }
  });

  it("mounts folders, never a single file, and only volumes that it has", () => {
    const names = spec.volumes.map(({ name }: Rendered) => name);
    for (const { volumeMounts } of containersOf(spec)) {
      for (const mount of volumeMounts) {
        expect(mount).not.toHaveProperty("subPath");
        expect([...names, "state", "backup"]).toContain(mount.name);
      }
    }
  });

  it("has Secrets that others of the machine cannot read, on no host path", () => {
    for (const { name, hostPath, secret, projected } of spec.volumes) {
      expect(hostPath).toBeUndefined();
      // An authority is public.
      if (secret !== undefined && name !== "ca") expect(secret.defaultMode).toBe(0o440);
      if (projected !== undefined) expect(projected.defaultMode).toBe(0o440);
    }
  });
});

it("looks at every pod there is: of the service, of jobs, and of the test", () => {
  const kinds = new Set(all.map(({ name }) => name.split(", ")[1]!.split(" ")[0]));
  expect([...kinds].sort()).toEqual(["CronJob", "Deployment", "Job", "Pod", "StatefulSet"]);
});

describe("a new pod", () => {
  const template_ = (set: readonly string[] = []) => JSON.stringify(servicePod(objects("postgres", set)));

  it("is not made by an edit of the policy", () => {
    const edit = ['policy.files={"policy.yaml": "version: 1\\nrules: []\\n", "clients-ca.pem": "none"}'];
    const edited = objects("postgres", edit);
    expect(only(edited, "ConfigMap", "kms-fluo-kms-policy").data["policy.yaml"]).toBe("version: 1\nrules: []\n");
    // Every byte counts, and not only what it means.
    const workload = (text: string) => text.split(/^---$/m).find((each) => each.includes("\nkind: Deployment\n"));
    expect(workload(template("postgres", edit))).toBe(workload(template("postgres")));
    expect(workload(template("postgres"))).toBeDefined();
  });

  it("is made by a setting, which is read at the start alone", () => {
    expect(template_(['settings={"kms.cache.ttl": "30m"}'])).not.toBe(template_());
  });

  it("has its memory by threads and cached keys", () => {
    const memory = (set: readonly string[]) => service("aws-irsa", set).containers[0].resources.limits.memory;
    // 192, and 64 a thread, and 160, and 16 KiB for each cached key.
    expect(memory([])).toBe("432Mi");
    expect(memory(['resources={"cpu": "250m"}'])).toBe("432Mi");
    expect(memory(['resources={"cpu": "1500m"}'])).toBe("496Mi");
    expect(memory(['resources={"cpu": "4"}', "cache.maxEntries=64000"])).toBe("1608Mi");
    expect(memory(['resources={"cpu": "100"}'])).toBe(memory(['resources={"cpu": "64"}']));
    expect(memory(['resources={"cpu": "1", "memory": "600Mi"}'])).toBe("600Mi");
  });

  it("has 130 MiB more for the process that makes backups, which its own heap does not get", () => {
    const container = (example: string, ...set: string[]) => service(example, set).containers[0];
    const heap = (each: Rendered) => each.env.find(({ name }: Rendered) => name === "NODE_OPTIONS").value;
    const [backedUp, not] = [container("sqlite"), container("sqlite", "backup.enabled=false")];
    expect(not.resources.limits.memory).toBe("432Mi");
    expect(backedUp.resources).toMatchObject({ requests: { memory: "562Mi" }, limits: { memory: "562Mi" } });
    expect([heap(backedUp), heap(not)]).toEqual(["--max-old-space-size=144", "--max-old-space-size=144"]);
    const given = 'settings={"fluo.kms.backup.cron": "0 0 * * * ?", "fluo.kms.backup.directory": "/backups"}';
    expect(container("sqlite", "backup.enabled=false", given).resources.limits.memory).toBe("562Mi");
    // Those of PostgreSQL are made by a pod of their own.
    const { resources, env } = container("postgres", "backup.enabled=false", "drill.enabled=false");
    expect(container("postgres")).toMatchObject({ resources, env });
  });

  it("has as many threads as its memory is reckoned for, and a third of that for the heap", () => {
    const rendered = objects("aws-irsa", ['resources={"cpu": "2500m"}']);
    const properties = only(rendered, "ConfigMap", "kms-fluo-kms").data["application.properties"];
    expect(properties).toContain("\nfluo.kms.threads=3\n");
    const { env, resources } = servicePod(rendered).spec.containers[0];
    expect(resources.limits.memory).toBe("560Mi");
    expect(env[0]).toEqual({ name: "NODE_OPTIONS", value: "--max-old-space-size=186" });
  });

  it("has time to end: the delay, the grace, and 15 seconds", () => {
    expect(service("aws-irsa").terminationGracePeriodSeconds).toBe(5 + 20 + 15);
    const rendered = objects("sqlite", ['shutdown={"delay": 12, "grace": 60}']);
    expect(servicePod(rendered).spec.terminationGracePeriodSeconds).toBe(12 + 60 + 15);
    const properties = only(rendered, "ConfigMap", "kms-fluo-kms").data["application.properties"];
    expect(properties).toMatch(/^fluo\.kms\.shutdown\.delay=12s$/m);
    expect(properties).toMatch(/^fluo\.kms\.shutdown\.grace=60s$/m);
  });

  it("is of the image with the digest, or else with the tag of the chart", () => {
    const [container] = service("aws-irsa").containers;
    expect(container.image).toMatch(/^ghcr\.io\/fluo-dev\/fluo-kms@sha256:[0-9a-f]{64}$/);
    const [tagged] = service("openbao-token-file").containers;
    expect(tagged.image).toMatch(/^ghcr\.io\/fluo-dev\/fluo-kms:\d+\.\d+\.\d+/);
  });

  it("is asked by HTTPS whether it is ready and alive", () => {
    const [{ startupProbe, readinessProbe, livenessProbe }] = service("aws-irsa").containers;
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe]) {
      expect(httpGet).toMatchObject({ scheme: "HTTPS", port: "http" });
    }
    expect(readinessProbe).toMatchObject({ periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 });
    expect(livenessProbe).toMatchObject({ periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6 });
    expect(startupProbe).toMatchObject({ periodSeconds: 2, failureThreshold: 60 });
    expect(readinessProbe.httpGet.path).toBe("/q/health/ready");
    expect(livenessProbe.httpGet.path).toBe("/q/health/live");
  });
});

describe("replicas", () => {
  it("of PostgreSQL go one after another, over zones and hosts", () => {
    const { spec } = only(objects("aws-irsa"), "Deployment");
    expect(spec).toMatchObject({ replicas: 2, minReadySeconds: 10 });
    expect(spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    const spread = spec.template.spec.topologySpreadConstraints;
    expect(spread.map(({ topologyKey }: Rendered) => topologyKey)).toEqual([
      ...["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
    ]);
    for (const each of spread) {
      expect(each).toMatchObject({ whenUnsatisfiable: "ScheduleAnyway", matchLabelKeys: ["pod-template-hash"] });
    }
  });

  it("are left to the autoscaler where there is one", () => {
    const rendered = objects("postgres");
    expect(only(rendered, "Deployment").spec).not.toHaveProperty("replicas");
    const { spec } = only(rendered, "HorizontalPodAutoscaler");
    expect(spec.behavior.scaleDown.stabilizationWindowSeconds).toBe(1_800);
    expect(spec.metrics).toEqual([
      { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 60 } } },
    ]);
  });

  it("follow calls and the event loop where the CPU is left out", () => {
    const { metrics } = only(objects("autoscaling"), "HorizontalPodAutoscaler").spec;
    const named = metrics.map(({ pods }: Rendered) => [pods.metric.name, pods.target.averageValue]);
    expect(named).toEqual([
      ["kms_calls_per_second", "5000"],
      ["kms_event_loop_utilization", "600m"],
    ]);
  });

  it("are spread as they are told, and the service's pods are meant where no others are", () => {
    const { topologySpreadConstraints } = service("scheduling");
    const { labels } = servicePod(objects("scheduling")).metadata;
    expect(topologySpreadConstraints).toHaveLength(1);
    expect(topologySpreadConstraints[0].whenUnsatisfiable).toBe("DoNotSchedule");
    expect(isPartOf(topologySpreadConstraints[0].labelSelector.matchLabels, labels)).toBe(true);
    const others = 'topologySpreadConstraints=[{"topologyKey": "a", "labelSelector": {"matchLabels": {"b": "c"}}}]';
    expect(service("scheduling", [others]).topologySpreadConstraints[0].labelSelector).toEqual({
      matchLabels: { b: "c" },
    });
  });

  it("have a budget for disruptions only where they are several", () => {
    expect(only(objects("aws-irsa"), "PodDisruptionBudget").spec).toMatchObject({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
    });
    const kinds = (set: readonly string[]) => objects("aws-irsa", set).map(({ kind }) => kind);
    expect(kinds(["replicas=1"])).not.toContain("PodDisruptionBudget");
    expect(objects("sqlite").map(({ kind }) => kind)).not.toContain("PodDisruptionBudget");
  });

  it("of SQLite is one, whose volumes stay, with the store in a folder that the service makes", () => {
    const rendered = objects("sqlite");
    const { spec } = only(rendered, "StatefulSet");
    expect(spec.replicas).toBe(1);
    expect(spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: "Retain", whenScaled: "Retain" });
    expect(spec.volumeClaimTemplates.map(({ metadata }: Rendered) => metadata.name)).toEqual(["state", "backup"]);
    expect(spec.template.spec).not.toHaveProperty("initContainers");
    const [{ volumeMounts }] = spec.template.spec.containers;
    const mounted = (name: string) => volumeMounts.find((each: Rendered) => each.name === name).mountPath;
    const properties = only(rendered, "ConfigMap", "kms-fluo-kms").data["application.properties"];
    expect(properties).toContain(`\nfluo.kms.sqlite.file=${mounted("state")}/state/fluo-kms.db\n`);
    // The service does not make the directory of backups: a volume that is not mounted is not written to.
    expect(properties).toContain(`\nfluo.kms.backup.directory=${mounted("backup")}\n`);
  });
});

describe("jobs", () => {
  it("migrate before an installation and an upgrade, where the settings of the new release are not there yet", () => {
    const rendered = objects("postgres");
    const job = only(rendered, "Job");
    expect(job.metadata.annotations["helm.sh/hook"]).toBe("pre-install,pre-upgrade");
    const { containers, volumes, serviceAccountName } = job.spec.template.spec;
    expect(containers[0].args[0]).toBe("migrate");
    // The service account may not be there yet, and the provider is not needed.
    expect(serviceAccountName).toBeUndefined();
    const config = only(rendered, "ConfigMap", volumes[0].configMap.name);
    const weights = [config, job].map(({ metadata }) => Number(metadata.annotations["helm.sh/hook-weight"] ?? 0));
    expect(weights[0]).toBeLessThan(weights[1]!);
    expect(config.data["job.properties"]).toBe(only(rendered, "ConfigMap", "kms-fluo-kms").data["job.properties"]);
  });

  it("back PostgreSQL up one at a time, and end", () => {
    const { spec } = only(objects("postgres"), "CronJob", "kms-fluo-kms-backup");
    expect(spec.concurrencyPolicy).toBe("Forbid");
    expect(spec.jobTemplate.spec.activeDeadlineSeconds).toBe(3_000);
    const { args } = spec.jobTemplate.spec.template.spec.containers[0];
    expect(args).toEqual([
      ...["backup", "--config", "/etc/fluo-kms/config/job.properties"],
      ...["--directory", "/var/lib/fluo-kms-backup", "--keep", "48"],
    ]);
  });
});

describe("extras", () => {
  const rendered = objects("extras");
  const pods = podsOf(rendered).filter(({ metadata }) => metadata.labels["app.kubernetes.io/component"] !== "test");
  const names = (list: readonly Rendered[]) => list.map(({ name }) => name);

  it("give the service and each job the variables, the volumes and what starts before them", () => {
    expect(pods).toHaveLength(4);
    for (const { name, spec } of pods) {
      const [own] = spec.containers;
      // Where the command in the service's container finds its socket: no job listens on one.
      const socket = name.startsWith("Deployment") ? ["FLUO_KMS_ADDR"] : [];
      expect(names(own.env)).toEqual(["NODE_OPTIONS", ...socket, "NODE_EXTRA_CA_CERTS", "AWS_ROLE_SESSION_NAME"]);
      expect(own.envFrom).toEqual([{ configMapRef: { name: "company-environment" } }]);
      expect(own.volumeMounts.map(({ mountPath }: Rendered) => mountPath)).toContain("/etc/company-ca");
      expect(names(spec.volumes)).toContain("company-ca");
      expect(names(spec.initContainers)).toEqual(["database-proxy"]);
    }
  });

  it("give the service alone what runs beside it: a job would not end", () => {
    expect(names(servicePod(rendered).spec.containers)).toEqual(["fluo-kms", "log-shipper"]);
    for (const { name, spec } of pods.filter((pod) => !pod.name.startsWith("Deployment"))) {
      expect([name, spec.containers.length]).toEqual([name, 1]);
    }
  });

  it("come after the variables of the credentials' Secret", () => {
    const secret = 'credentials.envSecretName="provider"';
    expect(service("extras", [secret]).containers[0].envFrom[0]).toEqual({ secretRef: { name: "provider" } });
  });
});

describe("common labels and annotations", () => {
  const rendered = objects("labels");
  const owner = "example.com/owner";

  it("are on every object and every pod", () => {
    const all = [...rendered, ...podsOf(rendered)].map(({ kind, name, metadata }) => ({
      name: kind ?? name,
      team: metadata.labels.team,
      owner: metadata.annotations?.[owner],
    }));
    const expected = { team: "payments", owner: "payments@example.com" };
    expect(all).toEqual(all.map(({ name }) => ({ name, ...expected })));
    expect(all.length).toBeGreaterThan(15);
  });

  it("are in no selector, which cannot be changed", () => {
    const selectors = rendered.flatMap(({ spec }) => [spec?.selector, spec?.podSelector]).filter(Boolean);
    expect(JSON.stringify(selectors)).not.toContain("payments");
    expect(selectors.length).toBeGreaterThan(3);
  });

  it("give way to those of the pods, of the service and of jobs", () => {
    const given = ['commonLabels={"tier": "x"}', 'commonAnnotations={"linkerd.io/inject": "enabled"}'];
    for (const { name, metadata } of podsOf(objects("labels", given))) {
      const isService = name.startsWith("Deployment");
      expect([name, metadata.labels.tier]).toEqual([name, isService ? "platform" : "x"]);
      expect(metadata.annotations["linkerd.io/inject"]).toBe(isService ? "enabled" : "disabled");
      expect(metadata.labels["sidecar.istio.io/inject"]).toBe(isService ? undefined : "false");
    }
  });

  it("are not on the claims of a StatefulSet, which cannot be changed either", () => {
    const { volumeClaimTemplates } = only(objects("sqlite", ['commonLabels={"team": "payments"}']), "StatefulSet").spec;
    expect(JSON.stringify(volumeClaimTemplates)).not.toContain("payments");
  });
});

describe("users and groups", () => {
  it("are written as whole numbers, however large", () => {
    const set = 'podSecurityContext={"runAsUser": 1000650000, "supplementalGroups": [5000]}';
    expect(template("aws-irsa", [set])).toContain("\n        runAsUser: 1000650000\n");
    expect(service("aws-irsa", [set]).securityContext).toMatchObject({
      runAsUser: 1_000_650_000,
      runAsGroup: 65_532,
      supplementalGroups: [5_000],
    });
  });

  it("stand beside what is fixed, for a container too", () => {
    const profile = { type: "Localhost", localhostProfile: "profiles/kms.json" };
    const set = `containerSecurityContext={"seccompProfile": ${JSON.stringify(profile)}}`;
    expect(service("aws-irsa", [set]).containers[0].securityContext).toEqual({
      seccompProfile: profile,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });
});

describe("identities", () => {
  const account = (example: string) => only(objects(example), "ServiceAccount").metadata.annotations;
  const labels = (example: string) => servicePod(objects(example)).metadata.labels;
  const use = "azure.workload.identity/use";

  it("are named on the service account, for IRSA, Google and Azure; Pod Identity needs nothing", () => {
    expect(account("aws-irsa")).toHaveProperty(["eks.amazonaws.com/role-arn"]);
    expect(account("gcp")).toHaveProperty(["iam.gke.io/gcp-service-account"]);
    expect(account("azure")).toHaveProperty(["azure.workload.identity/client-id"]);
    expect(account("aws-pod-identity")).toBeUndefined();
  });

  it("of Azure are a label of the pods too, those of jobs included", () => {
    expect(labels("azure")[use]).toBe("true");
    expect(labels("aws-irsa")).not.toHaveProperty([use]);
    const backups = objects("azure", ["backup.enabled=true", "drill.enabled=true"]).filter(
      ({ kind }) => kind === "CronJob",
    );
    expect(backups.length).toBe(2);
    // The provider is not needed to migrate.
    expect(only(objects("azure"), "Job").spec.template.metadata.labels).not.toHaveProperty([use]);
    for (const { spec } of backups) expect(spec.jobTemplate.spec.template.metadata.labels[use]).toBe("true");
  });

  it("of Vault are a token for Vault alone, where the settings look for it", () => {
    const rendered = objects("vault-kubernetes");
    const { spec } = servicePod(rendered);
    const { projected } = spec.volumes.find(({ name }: Rendered) => name === "provider-token");
    const { audience, expirationSeconds, path } = projected.sources[0].serviceAccountToken;
    expect([audience, expirationSeconds]).toEqual(["vault", 3_600]);
    const { mountPath } = spec.containers[0].volumeMounts.find(({ name }: Rendered) => name === "provider-token");
    const properties = only(rendered, "ConfigMap", "kms-fluo-kms").data["application.properties"];
    expect(properties).toContain(`\nvault.kubernetes.token-file=${mountPath}/${path}\n`);
  });
});

describe("network policy", () => {
  it("lets clients to gRPC, others to HTTP, and the service to DNS and what is listed", () => {
    const { ingress, egress } = only(objects("network-policy"), "NetworkPolicy").spec;
    expect(ingress.map(({ ports }: Rendered) => ports[0].port)).toEqual([9_000, 8_080]);
    expect(ingress[1].from).toHaveLength(4);
    expect(egress[0]).toEqual({
      ports: [
        { port: 53, protocol: "UDP" },
        { port: 53, protocol: "TCP" },
      ],
    });
    expect(egress.at(-1).to[0].ipBlock.cidr).toBe("10.0.0.0/8");
  });

  it("lets preflight, in a pod of the service, and helm test to each replica's HTTP", () => {
    const rendered = objects("network-policy");
    const { ingress, egress } = only(rendered, "NetworkPolicy").spec;
    const matched = (rules: readonly Rendered[], side: "from" | "to") =>
      rules
        .filter(({ ports }) => ports?.[0].port === 8_080)
        .flatMap((rule) => rule[side].map(({ podSelector }: Rendered) => podSelector?.matchLabels ?? {}));
    const { labels } = servicePod(rendered).metadata;
    const pods = [labels, only(rendered, "Pod").metadata.labels];
    for (const each of pods) {
      expect(matched(ingress, "from").some((wanted) => isPartOf(wanted, each))).toBe(true);
    }
    expect(matched(egress, "to").some((wanted) => isPartOf(wanted, labels))).toBe(true);
  });

  it("lets Pod Identity to its agent", () => {
    const { egress } = only(objects("aws-pod-identity"), "NetworkPolicy").spec;
    const agent = egress.find(({ to }: Rendered) => to?.[0].ipBlock?.cidr === "169.254.170.23/32");
    expect(agent.ports).toEqual([{ port: 80, protocol: "TCP" }]);
  });
});

describe("OTLP", () => {
  const env = (example: string, set: readonly string[] = []) =>
    Object.fromEntries(service(example, set).containers[0].env.map(({ name, value }: Rendered) => [name, value]));

  it("names a replica by its pod", () => {
    const attributes = env("otlp").OTEL_RESOURCE_ATTRIBUTES.split(",");
    expect(attributes).toEqual([
      ...["service.instance.id=$(POD_UID)", "k8s.pod.uid=$(POD_UID)", "k8s.pod.name=$(POD_NAME)"],
      ...["k8s.namespace.name=$(POD_NAMESPACE)", "k8s.cluster.name=production"],
    ]);
    const given = service("otlp").containers[0].env;
    const uid = given.find(({ name }: Rendered) => name === "POD_UID");
    expect(uid.valueFrom.fieldRef.fieldPath).toBe("metadata.uid");
    // A variable is put in only where it stands before.
    const names = given.map(({ name }: Rendered) => name);
    expect(names.indexOf("POD_UID")).toBeLessThan(names.indexOf("OTEL_RESOURCE_ATTRIBUTES"));
  });

  it("sends each signal alone, to where its protocol has it", () => {
    expect(env("monitoring")).toMatchObject({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://fluo-kms-collector.observability:4317",
    });
    expect(env("monitoring")).not.toHaveProperty("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
    expect(env("otlp")).toMatchObject({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://fluo-kms-collector.observability:4318/v1/traces",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://fluo-kms-collector.observability:4318/v1/metrics",
    });
    expect(Object.keys(env("aws-irsa"))).toEqual(["NODE_OPTIONS", "FLUO_KMS_ADDR"]);
  });
});

it("has the key of each certificate where the service looks for it", () => {
  const rendered = documents(template("cert-manager"));
  const { secretName } = only(rendered, "Certificate").spec;
  const tls = servicePod(rendered).spec.volumes.find(({ name }: Rendered) => name === "tls");
  expect(tls.secret.secretName).toBe(secretName);
});
