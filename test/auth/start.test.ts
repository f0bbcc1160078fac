/** A policy in force, as Status and metrics have it: its reloads, its authorities and the keys of its issuers. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, it, onTestFinished, vi } from "vitest";
import { startAuthentication } from "../../src/auth/start.ts";
import { createLimitLog } from "../../src/limits/log.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { directory } from "../support/config-fixture.ts";
import { msFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { virtualTime } from "../support/virtual-time.ts";
import { testKey } from "../support/signed-tokens.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";

const hourMs = 3_600_000;
/** More than a watch lets a change settle. */
const settledMs = 2_500;
const wholeSecond = (ms: number) => Math.floor(ms / 1000) * 1000;

const rules = `rules:
  - { name: r, who: { jwt: { issuer: sso, subject: ann } }, roles: [status], tenants: "*" }
`;
const issuers = `issuers:
  - { name: sso, issuer: https://sso.example.org, audience: fluo-kms, jwks-file: sso.json }
  - { name: far, issuer: "https://127.0.0.1:9", audience: fluo-kms, jwks: "https://127.0.0.1:9/keys" }
`;
const policy = `version: 1\n${issuers}${rules}`;
const keys = JSON.stringify({ keys: [testKey("ES256", "k").jwk] });

async function started(files: Record<string, string>, time: Time = realTime) {
  const path = directory({ "sso.json": keys, ...files });
  const store = memoryStore(time);
  const authentication = await startAuthentication(
    {
      policyFile: join(path, "policy.yaml"),
      profile: "dev",
      tls: {},
      tlsTerminated: false,
      proxies: {},
      limits: { callsPerSecond: 0, tenantCallsPerSecond: 0, failuresPerSecond: 0 },
    },
    {
      time,
      log: pino({ level: "silent" }),
      store,
      alarm: { changed() {} },
      limitLog: createLimitLog({ log() {}, changed() {}, now: time.monotonicMs }),
    },
  );
  onTestFinished(async () => {
    authentication.close();
    await store.close();
  });
  const write = (name: string, text: string) => writeFileSync(join(path, name), text);
  const { reload, status, trustBy } = authentication;
  return { path, write, reload, status, trustBy, store };
}

it("a policy that cannot be used is a reload that failed, however often it is read, until one can", async () => {
  const { write, reload, status } = await started({ "policy.yaml": policy });
  expect(status().reloadFailed).toBe(false);
  write("policy.yaml", "version: 2\n");
  await reload();
  await reload();
  expect(status()).toMatchObject({ reloadFailed: true, reloadFailures: 2 });
  write("policy.yaml", policy);
  await reload();
  expect(status()).toMatchObject({ reloadFailed: false, reloadFailures: 2, problems: [] });
});

it("one that was read by request is not read again by the watch, and a change after it is", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const withoutNetwork = policy.replace(/^.*name: far.*\n/m, "");
  const { write, reload, status } = await started({ "policy.yaml": withoutNetwork });
  const timers = vi.getTimerCount();
  write("policy.yaml", "version: 2\n");
  await expect.poll(() => vi.getTimerCount()).toBeGreaterThan(timers); // the watch saw it, and lets it settle
  await reload();
  await vi.advanceTimersByTimeAsync(settledMs);
  expect(status()).toMatchObject({ reloadFailed: true, reloadFailures: 1 });
  write("policy.yaml", withoutNetwork);
  const read = async () => {
    await vi.advanceTimersByTimeAsync(settledMs);
    return status().reloadFailed;
  };
  await expect.poll(read).toBe(false);
});

it("so is a file that is gone, of the policy or of an issuer's keys, until it is there again", async () => {
  const { path, write, reload, status } = await started({ "policy.yaml": policy });
  for (const [name, text] of Object.entries({ "policy.yaml": policy, "sso.json": keys })) {
    rmSync(join(path, name));
    await reload();
    expect(status().reloadFailed, name).toBe(true);
    write(name, text);
    await reload();
    expect(status().reloadFailed, name).toBe(false);
  }
});

it("an issuer whose keys cannot be fetched is none", async () => {
  const { status } = await started({ "policy.yaml": policy });
  await expect.poll(() => status().issuers[1]!.problem).toBeDefined();
  expect(status().reloadFailed).toBe(false);
});

it("tells how often the keys of each issuer are loaded, except those of a file", async () => {
  const { status } = await started({ "policy.yaml": policy });
  expect(status().issuers.map(({ name, refreshMs }) => [name, refreshMs])).toEqual([
    ["sso", undefined],
    ["far", 600_000],
  ]);
});

it("tells when the first of all certificate authorities ends", async () => {
  const { write, reload, status } = await started({ "policy.yaml": policy });
  expect(status().authorityUntilMs).toBeUndefined();
  const now = msFromNow(0);
  const ending = (hours: number) => newAuthority({ until: new Date(now + hours * hourMs) }).pem;
  write("mesh.pem", ending(3) + ending(2));
  write("web.pem", ending(4));
  write(
    "policy.yaml",
    `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
  - { name: web, dns: [.local], ca: web.pem }
${issuers}${rules}`,
  );
  await reload();
  expect(status()).toMatchObject({ problems: [], authorityUntilMs: wholeSecond(now + 2 * hourMs) });
});

it("a policy that is refused is read again each minute: a revocation list is of the future until its time has come", async () => {
  const time = virtualTime({ start: new Date(msFromNow(0)) });
  const ca = newAuthority({ name: "web" });
  const list = (aheadMs: number) => ca.crl([], { thisUpdate: new Date(time.now().getTime() + aheadMs) });
  const certificates = "certificates: [{ name: web, dns: [.local], ca: web.pem, crl: web.crl }]\n";
  const text = `version: 1\n${certificates}${issuers.replace(/^.*name: far.*\n/m, "")}${rules}`;
  const { write, reload, status } = await started(
    { "policy.yaml": text, "web.pem": ca.pem, "web.crl": list(-1_000) },
    time,
  );
  write("web.crl", list(90_000));
  await reload();
  expect(status()).toMatchObject({ reloadFailures: 1, problems: [expect.stringContaining("is of the future")] });
  await time.advance(60_000);
  expect(status()).toMatchObject({ reloadFailures: 1, problems: [expect.stringContaining("is of the future")] });
  await time.advance(60_000);
  expect(status()).toMatchObject({ reloadFailures: 1, reloadFailed: false, problems: [] });
});

it("a policy whose authorities TLS does not take is noted once, however often it is tried", async () => {
  const time = virtualTime({ start: new Date(msFromNow(0)) });
  const withoutNetwork = policy.replace(/^.*name: far.*\n/m, "");
  const { write, reload, status, trustBy, store } = await started({ "policy.yaml": withoutNetwork }, time);
  trustBy(() => {
    throw new Error("no");
  });
  write("policy.yaml", `${withoutNetwork}# another\n`);
  await reload();
  await time.advance(300_000);
  expect(status()).toMatchObject({ reloadFailures: 1, problems: ["TLS does not take its authorities: no"] });
  const rows = await store.auditEvents({ limit: 100 });
  expect(rows.filter(({ action }) => action === "policy_loaded")).toHaveLength(2);
});
