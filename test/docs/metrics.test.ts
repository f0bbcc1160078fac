/** docs/METRICS.md against what a running service exports: every metric has a row with its type, unit and labels, and every row a metric. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { observeCallers } from "../../src/metrics/callers.ts";
import { observeProviders } from "../../src/metrics/provider-use.ts";
import { observeQueues } from "../../src/metrics/queues.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { exportedTextBy, testObserver } from "../support/exported-metrics.ts";
import { newAuthority } from "../support/pki.ts";
import { startService } from "../support/running-service.ts";
import { batchOf, numberedSpan } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";
import { sharedKey } from "../support/signed-tokens.ts";
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
  const { client, credentials, grpcPort, http, stop } = await startService(
    { ...properties, "kms.rotation.min-age": "0s" },
    { files: underPolicy, tls: true },
  );
  const grpc = client(caller);
  await grpc.signSpan({ tenantId: "acme", span: plainSpan });
  await grpc.encryptPii({ tenantId: "acme", fields: [{ name: "email", value: Buffer.from("ann@example.com") }] });
  await grpc.rotate({ tenantId: "acme", force: true });
  grpc.close();
  const stream = openStream(`localhost:${grpcPort}`, {}, {}, { credentials: credentials(caller) });
  await stream.send({ tenantId: "acme", ...batchOf([numberedSpan(1)]) });
  stream.halfClose();
  await stream.rest();
  stream.close();
  exported = (await http("/q/metrics", { certificate: caller })).body + (await ofOtherParts());
  await stop();
  rmSync(folder, { recursive: true });
});

/** What this service lacks: PostgreSQL, with its clock; an issuer whose keys are fetched; a provider with a credential. */
function ofOtherParts(): Promise<string> {
  const [at, zero, none] = [new Date(), () => 0, () => undefined];
  return exportedTextBy(({ meter }) => {
    const observer = testObserver(meter);
    observeQueues(observer, {
      store: { load: () => ({ waiting: 0, connections: { used: 1, idle: 1, max: 10 } }) },
      heads: { status: () => ({ file: "" }) },
      audit: { problem: none, unwrittenMs: zero },
      witness: { differenceMs: () => 12 },
      pool: { queued: zero },
      budget: { heldBytes: zero, limit: 1 },
    } as never);
    observeProviders(observer, {
      providers: {
        conditions: () => [],
        breakers: () => [],
        tenantBreakers: none,
        inFlight: zero,
        tenantKeysSha256: String,
        credentials: () => [{ name: "vault", since: at, until: at }],
      },
    });
    const issuers = [{ name: "sso", refreshMs: 1, ageMs: 0, openMs: 0 }];
    observeCallers(observer, {
      policy: { status: () => ({ issuers, since: at }), seen: { calls: () => [] } },
    } as never);
  });
}

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
  "web.pem": authority.pem,
  "web.crl": authority.crl(),
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

it("states every metric of src/telemetry/ and src/metrics/", () => {
  const folders = ["telemetry", "metrics"].map((name) => join(root, "src", name));
  const files = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  const code = files.map((file) => readFileSync(file, "utf8")).join("");
  const created = code.match(/(?<=")(kms|nodejs|process|rpc_server|circuit)_\w+(?=")/g)!;
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
