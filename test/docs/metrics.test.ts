/** docs/METRICS.md against what a running service exports: every metric has a row with its type, unit and labels, and every row a metric. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { plainSpan } from "../support/api-fixture.ts";
import { newAuthority } from "../support/pki.ts";
import { startService } from "../support/running-service.ts";
import { sharedKey } from "../support/signed-tokens.ts";
import { startTlsService } from "../support/tls-service.ts";
import { differences, type Fact, namesIn, rowsOf } from "./tables.ts";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs", "METRICS.md"), "utf8");

let exported: string;
beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-metrics-"));
  const properties = {
    "fluo.kms.local.master-key-file": join(folder, "master.key"),
    "fluo.kms.sqlite.file": join(folder, "kms.db"),
  };
  // A health check counts the keys, and the first one is at the start.
  const before = await startService(properties);
  await before.grpc.signSpan({ tenantId: "acme", span: plainSpan });
  await before.stop();
  const { client, http, stop } = await startTlsService(underPolicy, { ...properties, "kms.rotation.min-age": "0s" });
  const grpc = client(caller);
  await grpc.signSpan({ tenantId: "acme", span: plainSpan });
  await grpc.encryptPii({ tenantId: "acme", fields: [{ name: "email", value: Buffer.from("ann@example.com") }] });
  await grpc.rotate({ tenantId: "acme", force: true });
  grpc.close();
  exported = (await http("/q/metrics", { certificate: caller })).body;
  await stop();
  rmSync(folder, { recursive: true });
});

/** A policy that has all of which there is a metric. */
const authority = newAuthority();
const caller = authority.issue({ dns: ["backend.internal.example.org"] });
const underPolicy = {
  "policy.yaml": `version: 1
certificates: [{ name: web, dns: [.internal.example.org], ca: web.pem, crl: web.crl }]
issuers: [{ name: sso, issuer: "https://sso.example.org", audience: fluo-kms, jwks-file: keys.json }]
rules:
  - name: backend
    who: { dns: { certificates: web, name: backend.internal.example.org } }
    roles: [sign, encrypt, operate, metrics]
    tenants: "*"
`,
  ...{ "web.pem": authority.pem, "web.crl": authority.crl() },
  "keys.json": JSON.stringify({ keys: [sharedKey("ES256", "a").jwk] }),
};

/** Reads Prometheus' text form. The label `le` belongs to a histogram's buckets. */
function factsOf(text: string): Fact[] {
  const units = new Map([...text.matchAll(/^# UNIT (\S+) (\S+)$/gm)].map(([, name, unit]) => [name, unit]));
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => {
    const unit = units.get(name);
    const series = [...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? `, "gm"))];
    const labels = series.flatMap(([, of = ""]) => [...of.matchAll(/(\w+)="/g)].map(([, label]) => label!));
    const own = [...new Set(labels.filter((label) => label !== "le"))];
    return [name!, [unit === undefined ? type : `${type}, ${unit}`, ...own.sort()].join("; ")];
  });
}

function problemsOf(text: string): string[] {
  const stated = rowsOf(text, "name").map(([name, type, , labels]): Fact => {
    return [namesIn(name!)[0]!, [type, ...namesIn(labels!).sort()].join("; ")];
  });
  return differences(stated, factsOf(exported));
}

it("states every metric that the service exports, and no other", () => {
  expect(problemsOf(page)).toEqual([]);
});

it("states every metric of src/telemetry.ts", () => {
  const code = readFileSync(join(root, "src", "telemetry.ts"), "utf8");
  const created = code.match(/(?<=")(kms|nodejs|rpc|circuit)_\w+(?=")/g)!;
  expect(
    rowsOf(page, "name")
      .map(([name]) => namesIn(name!)[0]!)
      .sort(),
  ).toEqual([...new Set(created)].sort());
});

it.each([
  ["a metric that is none", "`kms_cache_size`", "`kms_cache_length`"],
  ["another type", "| gauge        | 0 closed", "| counter      | 0 closed"],
  ["another unit", "| gauge, s ", "| gauge, ms"],
  ["another label", "`operation`, `outcome`", "`operation`, `result`"],
])("is refused with %s", (_, from, to) => {
  expect(page).toContain(from);
  expect(problemsOf(page.replace(from, to))).not.toEqual([]);
});

it("is refused without one of its rows", () => {
  const rows = page.match(/^\| `.*\n/gm)!;
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) expect(problemsOf(page.replace(row, ""))).toHaveLength(1);
});
