/** What the chart writes for the service, read by the service: every name is known, every value is accepted, and nothing is warned of. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { run } from "../support/cli-fixture.ts";
import { pkiFiles } from "../support/pki-files.ts";
import { examples, objects, only, type Rendered, servicePod } from "./helm-chart.ts";

const folder = mkdtempSync(join(tmpdir(), "fluo-kms-chart-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const { ca, server } = pkiFiles();

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

/** Files that the service reads at the start are elsewhere here than in a pod. */
const elsewhere: Readonly<Record<string, string>> = {
  "/etc/fluo-kms/tls/tls.crt": server.certificate,
  "/etc/fluo-kms/tls/tls.key": server.key,
  "/etc/fluo-kms/tenants/tenants.properties": file("tenants", "fluo.kms.tenants.acme.provider-key=transit/keys/acme\n"),
  "/etc/fluo-kms/postgres/password": file("password", "of the database\n"),
  "/etc/fluo-kms/postgres-ca/ca.crt": ca,
};

function here(properties: string): string {
  return properties
    .split("\n")
    .map((line) => {
      const at = line.indexOf("=") + 1;
      return line.slice(0, at) + (elsewhere[line.slice(at)] ?? line.slice(at));
    })
    .join("\n");
}

function read(properties: string, env: Record<string, string> = {}) {
  return loadConfig({ env, file: file("application.properties", here(properties)), cwd: "/var/lib/fluo-kms" });
}

describe.each(examples)("%s", (example) => {
  const rendered = objects(example);
  const { data } = only(rendered, "ConfigMap", "kms-fluo-kms");
  const files = Object.keys(data).filter((name) => name.endsWith(".properties"));

  it.each(files)("is accepted by the service: %s", (name) => {
    const env = servicePod(rendered).spec.containers[0].env.map(({ name: variable, value = "x" }: Rendered) => {
      return [variable, value];
    });
    const config = read(data[name], Object.fromEntries(env));
    expect(config.warnings).toEqual([]);
    expect([config.profile, config.auth, config.issuer]).toEqual(["prod", "policy", "kms.example.com"]);
  });

  it("has files where a container of the pod has mounted something", () => {
    const [container] = servicePod(rendered).spec.containers;
    const mounted = container.volumeMounts.map(({ mountPath }: Rendered) => mountPath);
    const paths = [...data["application.properties"].matchAll(/=(\/.*)$/gm)].map(([, path]) => path as string);
    expect(paths.length).toBeGreaterThan(3);
    for (const path of paths) {
      expect(mounted.some((at: string) => `${path}/`.startsWith(`${at}/`))).toBe(true);
    }
  });
});

it.each([
  ["tenants.properties", "fluo.kms.tenants.file"],
  ["provider-keys.yaml", "fluo.kms.provider-keys.file"],
  ["provider-keys.json", "fluo.kms.provider-keys.file"],
])("names the tenants' keys in %s by %s", (key, setting) => {
  const { data } = only(
    objects("aws-irsa", [`tenants.secretName="tenants"`, `tenants.key="${key}"`]),
    "ConfigMap",
    "kms-fluo-kms",
  );
  const lines = data["application.properties"].split("\n");
  expect(lines.filter((line: string) => line.includes("/tenants/"))).toEqual([
    `${setting}=/etc/fluo-kms/tenants/${key}`,
  ]);
});

it("would see a setting that the service does not know, or does not accept", () => {
  const { data } = only(objects("aws-irsa", ['settings={"kms.cache.tll": "1m"}']), "ConfigMap", "kms-fluo-kms");
  expect(() => read(data["application.properties"])).toThrow("kms.cache.tll");
  const { data: other } = only(objects("aws-irsa", ['settings={"kms.cache.ttl": "1y"}']), "ConfigMap", "kms-fluo-kms");
  expect(() => read(other["application.properties"])).toThrow("kms.cache.ttl");
});

it("sets the store, the limits and the ends as the values have them", () => {
  const { data } = only(objects("postgres"), "ConfigMap", "kms-fluo-kms");
  expect(read(data["application.properties"])).toMatchObject({
    host: "0.0.0.0",
    grpcPort: 9_000,
    httpPort: 8_080,
    backupIntervalMs: 3_600_000,
    shutdownDelayMs: 5_000,
    shutdownGraceMs: 20_000,
    cache: { maxEntries: 20_000, warm: "recent" },
    store: { name: "postgres", maxConnections: 12, migrate: "never" },
  });
  const { data: ofSqlite } = only(objects("sqlite"), "ConfigMap", "kms-fluo-kms");
  expect(read(ofSqlite["application.properties"])).toMatchObject({
    threads: 1,
    plannedBackups: { cron: "0 17 * * * ?", directory: "/var/lib/fluo-kms-backup", keep: 48 },
    store: { name: "sqlite", groupReadable: true },
  });
  // A job does not open the ports of the service, and a drill not its store.
  expect(read(data["job.properties"])).toMatchObject({ host: "127.0.0.1", store: { name: "postgres" } });
  const store = { name: "sqlite", file: "/var/lib/fluo-kms/drill/fluo-kms.db" };
  expect(read(data["drill.properties"])).toMatchObject({ store });
});

it("has a replica of PostgreSQL note heads on its pod's own disk, which a job does not touch", () => {
  const rendered = objects("postgres");
  const { data } = only(rendered, "ConfigMap", "kms-fluo-kms");
  const { spec } = servicePod(rendered);
  const { heads } = read(data["application.properties"]);
  const { name } = spec.containers[0].volumeMounts.find(
    ({ mountPath }: Rendered) => mountPath === dirname(heads.file!),
  );
  expect(spec.volumes.find((volume: Rendered) => volume.name === name)).toHaveProperty("emptyDir");
  // A new pod has an empty disk.
  expect(heads.required).toBe(false);
  for (const job of ["job.properties", "drill.properties"]) expect(read(data[job]).heads.file).toBeUndefined();
});

it("writes large numbers as whole ones, for the service and for a drill", () => {
  const set = ["cache.maxEntries=1000000", 'settings={"kms.cost.per-key-month": 1000000}'];
  const { data } = only(objects("postgres", set), "ConfigMap", "kms-fluo-kms");
  expect(read(data["application.properties"])).toMatchObject({ cache: { maxEntries: 1_000_000 } });
  for (const name of ["application.properties", "job.properties", "drill.properties"]) {
    expect(data[name]).toContain("\nkms.cost.per-key-month=1000000\n");
  }
});

it("has examples of a policy that the service accepts", async () => {
  const policies = examples.flatMap((example) =>
    objects(example)
      .filter(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "kms-fluo-kms-policy")
      .map(({ data }) => data["policy.yaml"] as string),
  );
  expect(policies.length).toBeGreaterThan(0);
  for (const policy of new Set(policies)) {
    const { code, out, err } = await run(["policy", "check", file("policy.yaml", policy)], { cwd: folder });
    expect(out + err).toContain("no problems");
    expect(code).toBe(0);
  }
});
