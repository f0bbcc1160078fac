/** What a scrape tells of callers and of the policy: all of it under a policy, and nothing without. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { hexDigest } from "../../src/crypto/sha256.ts";
import { type AllCredentials, startAllCredentials } from "../support/all-credentials-service.ts";
import { msFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { bearer, startService } from "../support/running-service.ts";

let service: AllCredentials;
beforeAll(async () => {
  service = await startAllCredentials({ "fluo.kms.open": "health,metrics" });
});
afterAll(() => service.stop());

/** The series of some metrics by their names and labels, as a scrape that shows no credential has them. */
async function scraped(...names: string[]): Promise<Record<string, number>> {
  const { body } = await service.get("/q/metrics");
  const series = [...body.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].filter(([, name]) => names.includes(name!));
  return Object.fromEntries(series.map(([, name, labels, value]) => [labels ?? name!, Number(value)]));
}

const noCalls = {
  'kind="certificate",outcome="ok"': 0,
  'kind="certificate",outcome="refused"': 0,
  'kind="certificate",outcome="limited"': 0,
  'kind="jwt",outcome="ok"': 0,
  'kind="jwt",outcome="refused"': 0,
  'kind="jwt",outcome="unavailable"': 0,
  'kind="jwt",outcome="limited"': 0,
  'kind="token",outcome="ok"': 0,
  'kind="token",outcome="refused"': 0,
  'kind="token",outcome="limited"': 0,
  'kind="none",outcome="refused"': 0,
};

describe("kms_auth_total", () => {
  /** What `work` adds, without what it leaves as it was. */
  async function added(work: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = await scraped("kms_auth_total");
    await work();
    const after = await scraped("kms_auth_total");
    expect(Object.keys(after)).toEqual(Object.keys(noCalls));
    return Object.fromEntries(
      Object.entries(after)
        .map(([labels, value]) => [labels, value - before[labels]!] as const)
        .filter(([, more]) => more !== 0),
    );
  }

  it("begins with zeros for all that can be, and counts neither scrapes nor health checks that are open", async () => {
    await service.get("/q/metrics");
    await service.get("/q/health");
    await service.get("/q/health", { token: service.shown.token });
    expect(await scraped("kms_auth_total")).toEqual(noCalls);
  });

  it.each<[string, string, () => Parameters<AllCredentials["onBoth"]>[0]]>([
    ["a certificate", 'kind="certificate",outcome="ok"', () => ({ certificate: service.shown.certificate })],
    ["a JWT", 'kind="jwt",outcome="ok"', () => ({ token: service.shown.jwt })],
    ["a static token", 'kind="token",outcome="ok"', () => ({ token: service.shown.token })],
    [
      "a token beside a certificate, which alone counts",
      'kind="token",outcome="ok"',
      () => ({ token: service.shown.token, certificate: newAuthority().issue() }),
    ],
    [
      "a certificate of a stranger",
      'kind="certificate",outcome="refused"',
      () => ({ certificate: newAuthority().issue({ dns: ["a.internal.example.org"] }) }),
    ],
    [
      "a certificate that no rule names",
      'kind="certificate",outcome="refused"',
      () => ({ certificate: service.issue({ dns: ["b.internal.example.org"] }) }),
    ],
    [
      "a JWT that no rule names",
      'kind="jwt",outcome="refused"',
      () => ({ token: service.tokenOf("sso", { sub: "b" }) }),
    ],
    ["a JWT that has expired", 'kind="jwt",outcome="refused"', () => ({ token: service.tokenOf("sso", { exp: 1 }) })],
    ["no token", 'kind="jwt",outcome="refused"', () => ({ token: "no-token" })],
    ["a JWT of an issuer that is down", 'kind="jwt",outcome="unavailable"', () => ({ token: service.tokenOf("down") })],
    ["another static token", 'kind="token",outcome="refused"', () => ({ token: `fkt_${"A".repeat(43)}` })],
    ["no credential", 'kind="none",outcome="refused"', () => ({})],
  ])("counts a call on each port with %s", async (_, labels, credential) => {
    expect(await added(() => service.onBoth(credential()))).toEqual({ [labels]: 2 });
  });

  it("counts a stream once, and a caller that asks who it is", async () => {
    const client = new grpc.Client(
      `localhost:${service.grpcPort}`,
      grpc.credentials.createSsl(Buffer.from(service.serverCa)),
    );
    onTestFinished(() => client.close());
    const stream = async () => {
      const same = (bytes: Buffer) => bytes;
      const path = "/fluo.kms.v1.KmsService/SignSpans";
      const call = client.makeBidiStreamRequest(path, same, same, bearer(service.shown.jwt));
      const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
      call.on("error", () => {}).resume();
      call.write(Buffer.from([0x0a, 0x04, ...Buffer.from("acme")])); // a batch of tenant acme that lacks all else
      call.end();
      return status;
    };
    expect(await added(stream)).toEqual({ 'kind="jwt",outcome="ok"': 1 });
    const whoami = () => service.get("/api/kms/whoami", { token: service.tokenOf("sso", { sub: "nobody" }) });
    expect(await added(whoami)).toEqual({ 'kind="jwt",outcome="ok"': 1 });
  });
});

describe("what is known of the policy", () => {
  const certificateIn = (file: string) => new X509Certificate(readFileSync(join(service.dir, file)));

  it("is exported by its hash, its size and the times at which parts of it end", async () => {
    const info = await scraped("kms_policy_info");
    expect(info).toEqual({ [`sha256="${hexDigest(service.policy)}"`]: 1 });
    expect(await scraped("kms_policy_rules", "kms_policy_reload_failures_total")).toEqual({
      kms_policy_rules: 3,
      kms_policy_reload_failures_total: 0,
    });
    const { kms_policy_loaded_timestamp_seconds: loaded } = await scraped("kms_policy_loaded_timestamp_seconds");
    expect(Math.abs(msFromNow(0) / 1_000 - loaded!)).toBeLessThan(3_600);
    expect(await scraped("kms_tls_certificate_expiry_timestamp_seconds")).toEqual({
      kms_tls_certificate_expiry_timestamp_seconds: certificateIn("server.pem").validToDate.getTime() / 1_000,
    });
    const { kms_crl_next_update_timestamp_seconds: due } = await scraped("kms_crl_next_update_timestamp_seconds");
    expect(due! - msFromNow(0) / 1_000).toBeGreaterThan(23 * 3_600);
    expect(due! - msFromNow(0) / 1_000).toBeLessThanOrEqual(24 * 3_600);
  });

  it("has the age of each issuer's keys, of one that never had any since it was named", async () => {
    const ages = await scraped("kms_jwks_age_seconds");
    expect(Object.keys(ages)).toEqual(['issuer="sso"', 'issuer="down"']);
    for (const age of Object.values(ages)) expect(age).toBeGreaterThan(0);
    expect(ages['issuer="down"']).toBeGreaterThanOrEqual(ages['issuer="sso"']!);
  });

  it("counts the tokens that are remembered", async () => {
    const { kms_token_cache_size: before } = await scraped("kms_token_cache_size");
    await service.onBoth({ token: service.tokenOf("sso", { jti: "another" }) });
    await service.onBoth({ token: service.tokenOf("sso", { jti: "refused", aud: "others" }) });
    expect(await scraped("kms_token_cache_size")).toEqual({ kms_token_cache_size: before! + 1 });
  });

  it("counts reloads that weaken it, by kind, and Status says so for a day", async () => {
    const weaker = service.policy
      .replace("version: 1\n", "version: 1\nseparation: off\n")
      .replace(/ {2}- \{ name: sso, who.*\n/, "")
      .replace(/ {2}- \{ name: web, who.*\n/, "");
    onTestFinished(() => service.write({ "policy.yaml": service.policy }));
    expect(weaker).not.toBe(service.policy);
    await service.write({ "policy.yaml": weaker });
    expect(await scraped("kms_policy_weakenings_total")).toEqual({
      'kind="separation"': 1,
      'kind="destruction"': 0,
      'kind="rules"': 1,
    });
    const { notices } = await service.status({ token: service.shown.token });
    expect(notices.filter((notice) => notice.startsWith("A reload of the policy at "))).toEqual([
      expect.stringMatching(/ turned separation off\.$/),
      expect.stringMatching(/ took away 2 of 3 rules: web, sso\.$/),
    ]);
  });

  it("is of the policy in force alone, after a reload and after one that failed", async () => {
    const smaller = service.policy.replace(/ {2}- \{ name: down.*\n/, "").replace(/ {2}- \{ name: ops, who.*\n/, "");
    onTestFinished(() => service.write({ "policy.yaml": service.policy }));
    await service.write({ "policy.yaml": smaller });
    expect(await scraped("kms_policy_info")).toEqual({ [`sha256="${hexDigest(smaller)}"`]: 1 });
    expect(Object.keys(await scraped("kms_jwks_age_seconds"))).toEqual(['issuer="sso"']);
    await service.write({ "policy.yaml": "version: 2\n" });
    expect(await scraped("kms_policy_info")).toEqual({ [`sha256="${hexDigest(smaller)}"`]: 1 });
    expect(await scraped("kms_policy_rules", "kms_policy_reload_failures_total")).toEqual({
      kms_policy_rules: 2,
      kms_policy_reload_failures_total: 1,
    });
  });
});

it("is absent where nobody is authenticated, but for the end of the service's certificate", async () => {
  const without = await startService();
  onTestFinished(without.stop);
  const plain = await (await fetch(`${without.url}/q/metrics`)).text();
  expect(plain).toContain("kms_cache_size");
  expect(plain).not.toMatch(/kms_(auth|policy|jwks|tls|crl|token)_/);
});

it("goes no further than the service's certificate with TLS alone", async () => {
  const { certificate: file, key } = {
    certificate: join(service.dir, "server.pem"),
    key: join(service.dir, "server.key"),
  };
  const withTls = await startService({ "fluo.kms.tls.certificate": file, "fluo.kms.tls.key": key });
  onTestFinished(withTls.stop);
  const { body } = await service.http("/q/metrics", { port: withTls.httpPort });
  expect(body.match(/^kms_(auth|policy|jwks|tls|crl|token)_\w+/gm)).toEqual([
    "kms_tls_certificate_not_before_timestamp_seconds",
    "kms_tls_certificate_expiry_timestamp_seconds",
  ]);
});
