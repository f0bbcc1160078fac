/** The chart's own files: lint, comments, the schema beside the values, and what it takes from monitoring/. */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { isMap, parse, parseDocument } from "yaml";
import {
  chart,
  exampleFile,
  examples,
  fileOfMonitoring,
  objects,
  only,
  type Rendered,
  runHelm,
  servicePod,
  template,
} from "./helm-chart.ts";
import { wordsIn } from "../support/words.ts";

const valuesText = readFileSync(join(chart, "values.yaml"), "utf8");
const schema: Rendered = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8"));

it.each(examples)("passes helm lint --strict with %s", (example) => {
  const { status, stdout, stderr } = runHelm(["lint", "--strict", chart, "--values", exampleFile(example)]);
  expect(stdout + stderr).toContain("1 chart(s) linted, 0 chart(s) failed");
  expect(status).toBe(0);
});

describe("values.yaml", () => {
  /** Lines of values without a comment before them, before one of their group that stands above, or before the group. */
  function withoutComment(text: string): string[] {
    const lines = text.split("\n");
    const indentOf = (at: number) => lines[at]!.search(/\S/);
    const isExplained = (at: number): boolean => {
      for (let before = at - 1; before >= 0 && lines[before] !== ""; before--) {
        if (indentOf(before) > indentOf(at)) continue;
        if (indentOf(before) < indentOf(at)) return lines[before - 1]?.trim().startsWith("#") ?? false;
        if (lines[before]!.trim().startsWith("#")) return true;
      }
      return false;
    };
    // A group says what it is by its members.
    return lines.filter((line, at) => /^ *\w+:/.test(line) && !/^ *\w+:$/.test(line) && !isExplained(at));
  }

  it("has a comment for each value", () => {
    expect(withoutComment(valuesText)).toEqual([]);
    expect(withoutComment("a:\n  # c\n  b: 1\n\nc: 2\n\nd:\n  e: 1\n")).toEqual(["c: 2", "  e: 1"]);
  });

  it("has each value that the schema knows, and no other", () => {
    const differing: string[] = [];
    const compare = (path: string, value: unknown, of: Rendered) => {
      if (of?.properties === undefined) return;
      const [has, known] = [Object.keys(value as object), Object.keys(of.properties)];
      for (const name of new Set([...has, ...known])) {
        if (path === "" && name === "global") continue;
        if (has.includes(name) !== known.includes(name)) differing.push(`${path}${name}`);
        else compare(`${path}${name}.`, (value as Rendered)[name], of.properties[name]);
      }
    };
    compare("", parse(valuesText), schema);
    expect(differing).toEqual([]);
  });

  it("is all of it closed by the schema: a group is one with properties", () => {
    const open: string[] = [];
    const look = (path: string, node: unknown, of: Rendered) => {
      if (!isMap(node) || node.items.length === 0) return;
      if (of.properties !== undefined && of.additionalProperties !== false) open.push(path);
      for (const { key, value } of node.items as Rendered[]) {
        const next = of.properties?.[key.value];
        if (next === undefined && of.properties !== undefined) open.push(`${path}.${key.value}`);
        else if (next !== undefined) look(`${path}.${key.value}`, value, next);
      }
    };
    look("", parseDocument(valuesText).contents, schema);
    expect(open).toEqual([]);
  });
});

describe("a value that is left empty", () => {
  // Helm takes the default away then, and no rule of the schema sees what is not there.
  const harmless = wordsIn(`
    nameOverride fullnameOverride image.tag image.digest image.pullSecrets settings credentials.secretName
    credentials.envSecretName serviceAccount.annotations tls.certManager.dnsNames store.postgres.caSecret.name
    store.sqlite.storageClassName backup.existingClaim backup.storageClassName tenants.secretName resources.memory
    service.grpc.annotations service.http.annotations networkPolicy.clients networkPolicy.http otlp.endpoint
    otlp.attributes monitoring.serviceMonitor.labels monitoring.prometheusRule.labels monitoring.dashboard.labels
    test.tokenSecret.name podLabels podAnnotations priorityClassName nodeSelector tolerations affinity
    topologySpreadConstraints commonLabels commonAnnotations containerSecurityContext jobs.podLabels
    jobs.podAnnotations extraEnv extraEnvFrom extraVolumes extraVolumeMounts extraInitContainers extraContainers
    autoscaling.metrics resources.cpuLimit tls.publicName service.admin.annotations test.address
  `);

  it("is missing to the schema, unless nothing comes of it", () => {
    const optional: string[] = [];
    const look = (path: string, of: Rendered) => {
      if (of.properties === undefined) return;
      for (const [name, next] of Object.entries(of.properties)) {
        if (!of.required?.includes(name) && name !== "global") optional.push(`${path}${name}`);
        look(`${path}${name}.`, next);
      }
    };
    look("", schema);
    expect(optional.sort()).toEqual([...harmless].sort());
  });

  it("renders as the empty default does, where nothing comes of it", () => {
    const empty = harmless.filter((name) => name !== "monitoring.dashboard.labels");
    const nothing = empty.map((name) => `${name}=null`);
    // Values of the example itself are not of the default.
    const defaults = ["credentials.secretName", "tenants.secretName", "store.postgres.caSecret.name"];
    const strings = defaults.map((name) => `${name}=""`);
    expect(template("openbao-token-file", nothing)).toBe(template("openbao-token-file", strings));
  });
});

describe("monitoring", () => {
  const rendered = objects("monitoring");

  it("installs the alerts of monitoring/ and no copy", () => {
    const { groups } = parse(fileOfMonitoring("prometheus", "kms-alerts.yaml"));
    expect(only(rendered, "PrometheusRule").spec.groups).toEqual(groups);
  });

  it("installs the dashboard of monitoring/ and no copy", () => {
    const { data, metadata } = only(rendered, "ConfigMap", "kms-fluo-kms-dashboard");
    expect(data["kms-operations.json"]).toBe(fileOfMonitoring("grafana", "dashboards", "kms-operations.json"));
    expect(metadata.labels.grafana_dashboard).toBe("1");
  });

  it("packages both as files", () => {
    const folder = mkdtempSync(join(tmpdir(), "fluo-kms-chart-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    expect(runHelm(["package", chart, "--destination", folder]).status).toBe(0);
    const [archive] = globSync(join(folder, "fluo-kms-*.tgz"));
    const packed = (name: string) => {
      const { stdout } = spawnSync("tar", ["-xzOf", archive!, `fluo-kms/files/${name}`], { encoding: "utf8" });
      return stdout;
    };
    expect(packed("kms-alerts.yaml")).toBe(fileOfMonitoring("prometheus", "kms-alerts.yaml"));
    expect(packed("kms-operations.json")).toBe(fileOfMonitoring("grafana", "dashboards", "kms-operations.json"));
  });

  it("scrapes by https under the name that the certificate has, as the job that the alerts take for granted", () => {
    const monitor = only(rendered, "ServiceMonitor").spec;
    const services = rendered.filter(({ kind }) => kind === "Service");
    const chosen = services.filter(({ metadata }) =>
      Object.entries(monitor.selector.matchLabels).every(([name, value]) => metadata.labels[name] === value),
    );
    // One of two that show the same pods: each would be scraped twice.
    expect(chosen.map(({ metadata }) => metadata.name)).toEqual(["kms-fluo-kms-admin"]);
    expect(chosen[0].metadata.labels[monitor.jobLabel]).toBe("fluo-kms");
    const [endpoint] = monitor.endpoints;
    expect(endpoint).toMatchObject({ port: chosen[0].spec.ports[0].name, scheme: "https", path: "/q/metrics" });
    const { dnsNames } = only(objects("cert-manager"), "Certificate").spec;
    expect(dnsNames).toContain(endpoint.tlsConfig.serverName);
  });
});

describe("a certificate of a public authority", () => {
  const rendered = objects("acme");

  it("has public names alone, as such an authority signs no other", () => {
    expect(only(rendered, "Certificate").spec.dnsNames).toEqual(["kms.example.com"]);
    const more = objects("acme", ['tls.certManager.dnsNames=["keys.example.com"]']);
    expect(only(more, "Certificate").spec.dnsNames).toEqual(["kms.example.com", "keys.example.com"]);
  });

  it("is verified by the authorities that everybody knows: nothing takes a ca.crt, which is empty there", () => {
    const [{ tlsConfig }] = only(rendered, "ServiceMonitor").spec.endpoints;
    expect(tlsConfig).toEqual({ serverName: "kms.example.com" });
    expect(JSON.stringify(only(rendered, "Pod"))).not.toMatch(/CACERT|ca\.crt/);
  });

  it("is that of helm test's address", () => {
    const address = (set: string[]) =>
      only(objects("acme", set), "Pod").spec.containers[0].env.find(({ name }: Rendered) => name === "FLUO_KMS_ADDR");
    expect(address([]).value).toBe("https://kms.example.com");
    expect(address(['test.address=""']).value).toBe("https://kms.example.com:8080");
  });
});

describe("services", () => {
  it.each(examples)("find the pods of the service in %s, and no pod of a job", (example) => {
    const rendered = objects(example);
    const pod = servicePod(rendered);
    for (const { spec } of rendered.filter(({ kind }) => kind === "Service")) {
      expect(pod.metadata.labels).toMatchObject(spec.selector);
      const jobs = rendered.filter(({ kind }) => kind === "Job" || kind === "CronJob");
      for (const job of jobs) {
        const { labels } = (job.spec.jobTemplate?.spec ?? job.spec).template.metadata;
        expect(labels["app.kubernetes.io/component"]).not.toBe(spec.selector["app.kubernetes.io/component"]);
      }
    }
  });

  it("tell proxies that both ports speak TLS", () => {
    const services = objects("postgres").filter(({ kind }) => kind === "Service");
    const protocols = services.flatMap(({ spec }) => spec.ports.map(({ appProtocol }: Rendered) => appProtocol));
    expect(protocols).toEqual(["https", "https", "https"]);
  });

  it("show callers only replicas that are ready, by gRPC and by HTTP, and show administration all of them", () => {
    const rendered = objects("postgres");
    const spec = (name: string) => only(rendered, "Service", name).spec;
    expect(spec("kms-fluo-kms-admin")).toMatchObject({ publishNotReadyAddresses: true, clusterIP: "None" });
    expect(spec("kms-fluo-kms").clusterIP).toBe("None");
    for (const name of ["kms-fluo-kms", "kms-fluo-kms-http"])
      expect(spec(name).publishNotReadyAddresses).toBeUndefined();
    expect(spec("kms-fluo-kms-http").clusterIP).toBeUndefined();
  });

  it("have the annotations that are given for each", () => {
    const set = ["grpc", "http", "admin"].map((each) => `service.${each}.annotations={"a": "${each}"}`);
    const services = objects("postgres", set).filter(({ kind }) => kind === "Service");
    expect(services.map(({ metadata }) => metadata.annotations)).toEqual([
      { a: "grpc" },
      { a: "http" },
      { a: "admin" },
    ]);
  });

  it("have their names on a certificate that cert-manager makes", () => {
    const rendered = objects("cert-manager");
    const hosts = rendered.filter(({ kind }) => kind === "Service").map(({ metadata }) => `${metadata.name}.fluo.svc`);
    expect(only(rendered, "Certificate").spec.dnsNames).toEqual(expect.arrayContaining(hosts));
  });
});
