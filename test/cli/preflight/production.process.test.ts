/** A service as production has it passes; and each line fails by a cause of its own. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checklist } from "../../../src/cli/preflight/checklist.ts";
import { checkIds, idsByHand, noticeId } from "../../../src/cli/preflight/check-ids.ts";
import type { Evidence } from "../../../src/cli/preflight/evidence.ts";
import { noticesOf } from "../../../src/cli/preflight/notice-lines.ts";
import { gather } from "../../../src/cli/preflight/gather.ts";
import { type NoticeCode, notice } from "../../../src/notices.ts";
import type { Line } from "../../../src/cli/preflight/line.ts";
import { placeAt } from "../../../src/cli/service-client.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { withoutSpeed } from "../../support/advice.ts";
import { useCredentials } from "../../support/aws-fixture.ts";
import { fromNow } from "../../support/from-now.ts";
import { type Production, startProduction } from "../../support/production.ts";
import { startProcess } from "../../support/service-process.ts";

useCredentials();

let production: Production;
let evidence: Evidence;

beforeAll(async () => {
  production = await startProduction();
});
afterAll(() => production[Symbol.asyncDispose]());

const idsWithoutSpeed = checkIds.filter((name) => name !== "cache-hit");

it("passes, with exit code 0 and a line for each name", async () => {
  const { code, answer } = await production.preflight();
  const lines = withoutSpeed(answer.checks);
  expect(lines.filter(({ outcome }) => outcome === "FAIL")).toEqual([]);
  expect(lines.map(({ id }) => id)).toEqual(idsWithoutSpeed);
  const isFast = answer.checks.find(({ id }) => id === "cache-hit")!.outcome === "PASS";
  expect({ code, ok: answer.ok }).toEqual(isFast ? { code: 0, ok: true } : { code: 1, ok: false });
  const skipped = answer.checks.filter(({ outcome }) => outcome === "SKIPPED").map(({ id }) => id);
  expect(skipped).toEqual(idsByHand);
  const found = Object.fromEntries(answer.checks.map(({ id, text }) => [id, text]));
  expect(found).toMatchObject({
    profile: "prod",
    tls: "on both ports",
    "cache-hit": expect.stringMatching(/^[\d.]+ ms/),
    provider: "aws",
    "provider-key": `${production.key.arn} answering, Enabled`,
    "key-rotation": "every 365 days",
    store: "postgres, for several instances: 1 run",
    "postgres-tls": expect.stringMatching(/^sslmode=verify-full, TLSv1\.[23]$/),
    "postgres-connections": "(1 + 1) × 11 + 10 = 32 of 100",
    "heads-file": `${production.env.FLUO_KMS_AUDIT_HEADS_FILE}: whether PostgreSQL has it on the same disk cannot be told`,
  });
});

it("prints a line each, and no secret", async () => {
  const { code, out, err } = await production.run("preflight");
  const isFast = / {2}cache-hit +PASS/.test(out);
  expect({ code, err }).toEqual({ code: isFast ? 0 : 1, err: "" });
  expect(out).toMatch(/^overall {2}(?:PASS|FAIL)\nchecks\n {2}service +PASS +https:/);
  expect(out.startsWith("overall  PASS")).toBe(isFast);
  const lines = Array.from(out.matchAll(/^ {2}([a-z-]+) +(?:PASS|SKIPPED) +(.*)$/gm), ([, id, text]) => ({
    id: id!,
    text: text!,
    outcome: "PASS" as const,
  }));
  expect(withoutSpeed(lines).map(({ id }) => id)).toEqual(idsWithoutSpeed);
  expect(out).toMatch(/^ {2}audit +PASS +\d+ events, no problems$/m);
  const { password } = new URL(production.env.FLUO_KMS_POSTGRES_URL!);
  expect(password).not.toBe("");
  expect(out).not.toContain(password);
  expect(out).not.toContain("fkt_");
});

/** What the command gathers, in this process. */
async function gathered(): Promise<Evidence> {
  const options = { "token-file": production.tokenFile, "ca-cert": production.caFile };
  const config = loadConfig({ env: production.env, cwd: production.directory });
  return gather(options, { config, place: placeAt(production.service.http), replicas: undefined });
}

/** On a machine that is not busy. */
const fast = { "validation.got.latency_ms.cache_hit": 0.01, "validation.got.recommendation_details": [] };

const failed = (lines: readonly Line[]) => lines.flatMap(({ id, outcome }) => (outcome === "FAIL" ? [id] : []));

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const ago = (ms: number) => fromNow(-ms);
const release = (name: string) => ({ replicaId: name, release: name, version: 8, seenAt: ago(0), endedAt: undefined });

/** What is otherwise than in the evidence of production, by its path; and the one line that fails for it. */
const causes: [name: string, what: string, changes: Record<string, unknown>][] = [
  ["settings", "another provider", { "status.provider": "gcp" }],
  ["settings", "another kind of store", { "status.store": "sqlite" }],
  ["store-identity", "a store with another id", { "status.store_id": "00".repeat(16) }],
  ["store-identity", "a copy", { "store.identity.got.isWrittenTo": { got: false } }],
  ["profile", "dev", { "config.profile": "dev" }],
  ["authentication", "none", { "status.authentication.kind": "none" }],
  ["policy", "a file that is not in force", { "status.authentication.policy.problems": ["line 3: no such role"] }],
  ["policy", "a file that was not read yet", { "files.policy": { got: "00".repeat(32) } }],
  ["tls", "the clear, on a network", { ...unserved("http://kms.example.com:8080", "kms.example.com") }],
  [
    "tls",
    "the clear, on a network, before a service that speaks TLS",
    { place: { text: "http://kms.example.com:8080", host: "kms.example.com", isTls: false } },
  ],
  ["tls", "settings that a service was not started with", unserved("http://localhost:8080", "localhost")],
  [
    "tls",
    "all addresses",
    { ...unserved("http://localhost:8080", "localhost"), "config.tls": undefined, "config.host": "::" },
  ],
  ["certificate", "one that has ended", { "status.authentication.certificate_expires_at": ago(1).toISOString() }],
  ["certificate", "one that ends", { "status.authentication.certificate_expires_at": ago(-17 * dayMs).toISOString() }],
  ["provider", "local", { "status.provider": "local", "config.provider.name": "local" }],
  ["provider-key", "one that is denied", { "status.provider_keys.0.condition": "denied" }],
  ["provider-key", "none that is known", { "status.provider_keys": [] }],
  ["validate", "FAIL", { "validation.got.overall": "FAIL" }],
  ["validate", "a test", { "validation.got.tests.encrypt_pii": "FAIL: no" }],
  ["validate", "no answer", { validation: { why: "PERMISSION_DENIED" } }],
  ["cache-hit", "10 ms", { "validation.got.latency_ms.cache_hit": 10 }],
  ["cache-hit", "none", { "validation.got.latency_ms": {} }],
  ["key-rotation", "off", { "validation.got.key.rotation": "off" }],
  ["health", "degraded", { "status.status": "degraded" }],
  ["readiness", "503", { ready: { why: "HTTP 503" } }],
  ["liveness", "no answer", { live: { why: "no answer within 10 s" } }],
  ["rotation", "off", { "status.rotation.enabled": false }],
  ["rotation", "an older service", { "status.rotation": undefined }],
  ["rotation", "a key of 98 days", { "store.notes.got.oldestActive": [{ tenantId: "acme", at: ago(98 * dayMs) }] }],
  ["clocks", "one that is 6 s behind the provider's", { "validation.got.key.clock_skew_ms": -6_000 }],
  ["clocks", "one that is 301 s ahead", { "status.destructions_waiting.clock_ahead_seconds": 301 }],
  ["health", "degraded, by more than a tenant's key", { ...tenantsKey(), "status.tenant_keys_unusable": 0 }],
  ["backup-failed", "the notice", noticed("BACKUP_FAILED")],
  [
    "notice",
    "one of an earlier release",
    { "status.notice_details": undefined, "status.notices": ["Backups: the last one failed."] },
  ],
  ["store", "one that cannot be read", { "store.notes": { why: "the PostgreSQL store failed (no answer)" } }],
  ["backup", "no interval", { "config.backupIntervalMs": 0 }],
  ["backup", "none", { "store.notes.got.backupAt": undefined }],
  ["backup", "one of 91 minutes", { "store.notes.got.backupAt": ago(1.5 * hourMs + 60_000) }],
  ["backup", "one to come", { "store.notes.got.backupAt": ago(-hourMs) }],
  ["drill", "none", { "store.notes.got.checkAt": undefined }],
  ["drill", "one of 41 days", { "store.notes.got.checkAt": ago(41 * dayMs) }],
  ["upgrade", "no replica", { "store.notes.got.replicas": [] }],
  ["postgres-tls", "the clear", { "store.server.got.tls": undefined }],
  ["postgres-tls", "no verify-full", { "config.store.url": "postgres://u:p@db.example.com/kms?sslmode=require" }],
  ["postgres-tls", "no answer", { "store.server": { why: "the PostgreSQL store failed (53300)" } }],
  ["postgres-primary", "a standby", { "store.server.got.isStandby": true }],
  ["postgres-pooler", "a transaction pooler", { "store.server.got.isPooled": true }],
  ["postgres-connections", "nine replicas", { replicas: 9 }],
  ["postgres-connections", "too few", { "store.server.got.maxConnections": 31 }],
  ["audit", "a problem", { "audit.got": { problems: [{ what: "a row is gone" }], problemCount: "1" } }],
  ["audit", "no answer", { audit: { why: "PERMISSION_DENIED" } }],
  ["heads-file", "none", { "status.heads.file": "" }],
  ["heads-file", "one beside the store", { "status.heads.remark": "it is on the file system of the store" }],
  ["heads-file", "one that cannot be written", { "status.heads.problem": "it cannot be written (ENOSPC)" }],
  ["integrity", "a finding", { "status.integrity.findings_total": 1 }],
  ["integrity", "a pass of ten days ago", { "status.integrity.finished": ago(10 * dayMs).toISOString() }],
  ["integrity", "a first pass", { "status.integrity.finished": null, "status.integrity.percent": 40 }],
];

/** A service that is spoken to without TLS. */
function unserved(text: string, host: string): Record<string, unknown> {
  return { place: { text, host, isTls: false }, "status.authentication.certificate_expires_at": null };
}

/** What passes nonetheless, each with what it says. */
const remarks: [name: string, says: RegExp, changes: Record<string, unknown>][] = [
  [
    "no-stale-keys",
    /^NO_STALE_KEYS$/,
    { "validation.got.recommendation_details": [notice("NO_STALE_KEYS", "NO_STALE_KEYS")] },
  ],
  ["upgrade", /^2 of release 0\.2\.0 and 0\.3\.0: it is under way$/, upgrading("0.2.0", "0.3.0")],
  ["upgrade", /^1 of release 0\.3\.0, not finished$/, { ...upgrading("0.3.0"), "store.notes.got.isUpgraded": false }],
  ["postgres-connections", /^\(2 \+ 1\) × 11 \+ 10 = 43 of 100$/, upgrading("0.2.0", "0.3.0")],
  [
    "postgres-connections",
    /^\(6 \+ 1\) × 11 \+ 10 = 87 of 87$/,
    { replicas: 6, "store.server.got.maxConnections": 87 },
  ],
  ["tls", /^before the service, by a proxy$/, { "status.authentication.certificate_expires_at": null }],
  [
    "tls",
    /by a proxy in the same pod$/,
    { ...unserved("http://localhost:8080", "localhost"), "config.tlsTerminated": true },
  ],
  [
    "rotation",
    /^on, after 90 days, the oldest ACTIVE key is of 2 days ago, 0 failed$/,
    {
      "config.tenantProviderKeys.tenants": new Map([["own", "their-key"]]),
      "store.notes.got.oldestActive": [
        { tenantId: "own", at: ago(98 * dayMs) },
        { tenantId: "acme", at: ago(2 * dayMs) },
      ],
    },
  ],
  ["backup", /^the last is of 1 hour ago, and/, { "store.notes.got.backupAt": ago(1.5 * hourMs - 60_000) }],
  ["limit-acted", /^LIMIT_ACTED$/, noticed("LIMIT_ACTED")],
  ["store-identity", /^[0-9a-f]{32}, and the service writes to it$/, { "status.store_id": undefined }],
  [
    "store-identity",
    /^[0-9a-f]{32}; whether it is a copy of the service's was not tried: unimplemented$/,
    { "status.store_id": undefined, "store.identity.got.isWrittenTo": { why: "unimplemented" } },
  ],
  ["health", /^degraded, by provider keys of tenants alone$/, tenantsKey()],
  ["integrity", /^checked /, { "status.integrity.percent": 40 }],
  ["notice", /^none that is not said elsewhere/, noticed("EXAMINATION_RUNNING")],
];

/** A service that is degraded because a tenant has disabled their own key. */
function tenantsKey(): Record<string, unknown> {
  return { "status.status": "degraded", "status.tenant_keys_unusable": 1, ...noticed("TENANT_KEY_UNUSABLE") };
}

/** Status with one notice, whose text is its code. */
function noticed(code: NoticeCode): Record<string, unknown> {
  return { "status.notice_details": [notice(code, code)] };
}

function upgrading(...releases: string[]): Record<string, unknown> {
  return { "store.notes.got.replicas": releases.map(release) };
}

/** A copy with other values at these paths, all of which are there. */
function changed(from: Evidence, changes: Record<string, unknown>): Evidence {
  const copy = structuredClone(from);
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    const last = names.pop()!;
    const parent = names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], copy);
    expect(parent, path).toHaveProperty(last);
    Object.assign(parent as object, { [last]: value });
  }
  return copy;
}

describe("with one thing that is otherwise", () => {
  beforeAll(async () => {
    evidence = changed(await gathered(), fast);
    expect(failed(checklist(evidence))).toEqual([]);
  });

  it.each(causes)("%s alone fails for %s", (name, _what, changes) => {
    const lines = checklist(changed(evidence, changes));
    expect(failed(lines)).toEqual([name]);
    expect(lines.find((line) => line.outcome === "FAIL")!.text).not.toBe("");
    const ofNotices = noticesOf(changed(evidence, changes).status).map(({ code }) => noticeId(code));
    expect(lines.map((line) => line.id)).toEqual(
      checkIds.map((id) => (id === "notice" ? (ofNotices[0] ?? "notice") : id)),
    );
  });

  it("each line can fail, but those that cannot be seen and the service itself", () => {
    const names = new Set(causes.map(([name]) => name));
    expect(checkIds.filter((name) => !names.has(name))).toEqual(["service", ...idsByHand]);
  });

  it.each(remarks)("%s passes, and says %s", (name, says, changes) => {
    const lines = checklist(changed(evidence, changes));
    expect(failed(lines)).toEqual([]);
    expect(lines.find((line) => line.id === name)?.text).toMatch(says);
  });
});

it("counts the replicas that run, unless it is told how many there will be", async () => {
  const { env, directory } = production;
  const more = { FLUO_KMS_AUDIT_HEADS_FILE: join(directory, "second.heads") };
  const second = await startProcess({ ...env, ...more }, { cwd: directory });
  try {
    // It is noted with its first write, an audit row of a call.
    const { code } = await production.run("validate", "--address", second.http);
    expect(code).toBe(0);
    const { answer } = await production.preflight();
    const found = Object.fromEntries(answer.checks.map((line) => [line.id, line.text]));
    expect(found.store).toBe("postgres, for several instances: 2 run");
    expect(found["postgres-connections"]).toBe("(2 + 1) × 11 + 10 = 43 of 100");
    expect(failed(withoutSpeed(answer.checks))).toEqual([]);
  } finally {
    await second.end();
  }
});

describe("with another caller", () => {
  it("fails for what a caller may not ask", async () => {
    const { code, answer } = await production.preflight("--token-file", "viewer.token");
    expect(failed(answer.checks)).toEqual(["validate", "audit"]);
    expect(code).toBe(1);
  });

  it("says that nothing was tried for a caller that may not see the status", async () => {
    const { code, answer } = await production.preflight("--token-file", "app.token");
    expect(answer.checks[0]!.text).toMatch(/the caller may not status for all tenants; it lacks the role status/);
    expect(failed(answer.checks)).toEqual(["service"]);
    expect(code).toBe(1);
  });
});

describe("with one thing that was changed in production", () => {
  it("fails for a provider key that is disabled, which readiness says too", async () => {
    production.key.state = "Disabled";
    try {
      await production.service.said(/"health is down"/);
      const { code, answer } = await production.preflight();
      const names = new Set(failed(answer.checks));
      for (const name of ["provider-key", "validate", "health", "readiness", "store"]) expect(names).toContain(name);
      expect(answer.checks.find(({ id }) => id === "readiness")!.text).toMatch(/^\/q\/health\/ready: HTTP 503/);
      expect(answer.checks.find(({ id }) => id === "liveness")!.outcome).toBe("PASS");
      expect(code).toBe(1);
    } finally {
      const before = production.service.log.length;
      production.key.state = "Enabled";
      await production.service.said(/"health is (?!down)/, before);
    }
  });

  it("fails for a key that is not rotated, a policy that is not in force, and too many replicas", async () => {
    const policy = readFileSync(production.policyFile, "utf8");
    production.key.rotationDays = undefined;
    writeFileSync(production.policyFile, `${policy}  - nonsense\n`);
    try {
      await production.service.said(/policy.*not.*force|refused/i);
      const { code, answer } = await production.preflight("--replicas", "20");
      expect(new Set(failed(withoutSpeed(answer.checks)))).toEqual(
        new Set(["policy", "key-rotation", "postgres-connections"]),
      );
      expect({ code, ok: answer.ok }).toEqual({ code: 1, ok: false });
    } finally {
      production.key.rotationDays = 365;
      writeFileSync(production.policyFile, policy);
    }
  });
});
