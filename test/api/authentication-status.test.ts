/** Status, health and Validate of a service under a policy: how callers prove who they are, for whoever may ask for the whole service alone. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { hexDigest } from "../../src/crypto/sha256.ts";
import { postJson } from "../support/api-fixture.ts";
import { expectWell } from "../support/advice.ts";
import { type AllCredentials, startAllCredentials } from "../support/all-credentials-service.ts";
import { run } from "../support/cli-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { bearerHeaders, startService } from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";

const path = "/api/admin/kms/status";

describe("Status under a policy", () => {
  let service: AllCredentials;
  beforeAll(async () => {
    service = await startAllCredentials();
    const { certificate, jwt, token } = service.shown;
    for (const each of [{ certificate }, { token: jwt }, { token }]) await service.onBoth(each);
    await service.onBoth({ token: service.tokenOf("sso", { jti: "another token of the same caller" }) });
    await service.onBoth({ token: service.tokenOf("sso", { sub: "nobody" }) });
    await service.get("/api/kms/whoami", { token: service.tokenOf("sso", { sub: "nobody" }) });
    await service.onBoth({ token: service.tokenOf("sso", { exp: 1 }) });
    await service.onBoth({ token: service.tokenOf("down") });
    await service.onBoth({});
  });
  afterAll(() => service.stop());

  it("says over gRPC what is in force, who was let in and who was not", async () => {
    const { authentication } = await service.status({ token: service.shown.token });
    expect(authentication).toMatchObject({
      kind: "policy",
      policy: {
        sha256: hexDigest(service.policy),
        rules: 3,
        reloadFailures: 0n,
        problems: [],
        separation: true,
        twoPersonDestruction: false,
        issuers: [
          { name: "sso", keys: 1, problem: "" },
          { name: "down", keys: 0, problem: expect.stringMatching(/./) },
        ],
      },
      identities: [
        { kind: "spiffe", count: 0 },
        { kind: "dns", count: 1 },
        { kind: "jwt", count: 1 },
        { kind: "token", count: 1 },
      ],
      refusals: [
        { kind: "jwt", reason: "PERMISSION_DENIED", count: 2n },
        { kind: "jwt", reason: "CREDENTIAL_EXPIRED", count: 2n },
        { kind: "jwt", reason: "ISSUER_UNAVAILABLE", count: 2n },
        { kind: "none", reason: "UNAUTHENTICATED", count: 2n },
      ],
    });
    const { issuers, loadedAt, crlNextUpdate } = authentication!.policy!;
    expect(issuers.map(({ age }) => age === undefined)).toEqual([false, true]);
    expect(timestampDate(loadedAt!) <= new Date()).toBe(true);
    expect(timestampDate(crlNextUpdate!) > new Date()).toBe(true);
    expect(timestampDate(authentication!.certificateExpiresAt!) > new Date()).toBe(true);
  });

  it("says the same as JSON", async () => {
    const { authentication } = await service.status({ token: service.shown.token });
    const { body } = await service.get(path, { token: service.shown.token });
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(JSON.parse(body).authentication).toEqual({
      kind: "policy",
      policy: {
        sha256: hexDigest(service.policy),
        rules: 3,
        loaded_at: time,
        reload_failures: 0,
        problems: [],
        separation: true,
        two_person_destruction: false,
        crl_next_update: time,
        issuers: [
          { name: "sso", keys: 1, age_seconds: expect.any(Number), problem: "" },
          { name: "down", keys: 0, age_seconds: null, problem: authentication!.policy!.issuers[1]!.problem },
        ],
      },
      identities: { spiffe: 0, dns: 1, jwt: 1, token: 1 },
      refusals: [
        { kind: "jwt", reason: "PERMISSION_DENIED", count: 2 },
        { kind: "jwt", reason: "CREDENTIAL_EXPIRED", count: 2 },
        { kind: "jwt", reason: "ISSUER_UNAVAILABLE", count: 2 },
        { kind: "none", reason: "UNAUTHENTICATED", count: 2 },
      ],
      certificate_expires_at: time,
    });
  });

  it("is printed by the command line in a few lines", async () => {
    writeFileSync(join(service.dir, "ca.pem"), service.serverCa);
    writeFileSync(join(service.dir, "token"), service.shown.token, { mode: 0o600 });
    const { code, err, out } = await run(["status"], {
      env: {
        FLUO_KMS_ADDR: `https://localhost:${service.httpPort}`,
        FLUO_KMS_CACERT: join(service.dir, "ca.pem"),
        FLUO_KMS_TOKEN_FILE: join(service.dir, "token"),
      },
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const sha256 = hexDigest(service.policy);
    expect(out).toMatch(
      new RegExp(`^policy +3 rules since \\S+Z, separation on, destruction by one, SHA-256 ${sha256}$`, "m"),
    );
    expect(out).toMatch(/^identities +0 spiffe, 1 dns, 1 jwt, 1 token$/m);
    expect(out).toMatch(
      /^refused +2 jwt PERMISSION_DENIED, 2 jwt CREDENTIAL_EXPIRED, 2 jwt ISSUER_UNAVAILABLE, 2 none /m,
    );
    expect(out).toMatch(/^issuer sso +1 key, \d+ s old$/m);
    expect(out).toMatch(/^issuer down +no keys yet; they cannot be had: ./m);
    expect(out).toMatch(/^certificate +ends \S+Z$/m);
    expect(out).toMatch(/^revocation +lists are good until \S+Z$/m);
  });

  it("says nothing of it with a tenant, whoever asks", async () => {
    const { token } = service.shown;
    expect((await service.status({ token }, "acme")).authentication).toBeUndefined();
    const { status, body } = await service.get(`${path}?tenant_id=acme`, { token });
    expect(status).toBe(200);
    expect(JSON.parse(body)).not.toHaveProperty("authentication");
  });

  it("counts a reload that failed, and says why", async () => {
    onTestFinished(() => service.write({ "policy.yaml": service.policy }));
    await service.write({ "policy.yaml": `${service.policy}separation: maybe\n` });
    const { token } = service.shown;
    const { authentication, notices } = await service.status({ token });
    expect(authentication!.policy).toMatchObject({
      sha256: hexDigest(service.policy),
      reloadFailures: 1n,
      problems: [expect.stringContaining("separation must be on or off")],
    });
    expect(notices).toContainEqual(expect.stringContaining("separation must be on or off"));
  });
});

it("Status says that there is no authentication, and the command line nothing of it", async () => {
  const { url, grpc, stop } = await startService();
  onTestFinished(stop);
  const { authentication } = await grpc.status({});
  expect(authentication).toMatchObject({ kind: "none", identities: [], refusals: [] });
  expect(authentication!.policy).toBeUndefined();
  const { out } = await run(["status"], { env: { FLUO_KMS_ADDR: url } });
  expect(out).toMatch(/^memory /m);
  expect(out).not.toMatch(/^(policy|identities|refused|issuer|certificate|revocation) /m);
});

it("Status of a tenant, for a caller that may see that tenant alone, has neither remarks nor authentication", async () => {
  const rules = {
    all: { roles: ["status"] },
    acme: { roles: ["status"], tenants: "[acme]" },
  };
  const { tokens, files } = tokenPolicy(rules, "separation: off");
  const { url, stop } = await startService({}, { files });
  onTestFinished(stop);
  const asked = async (token: string | undefined, query: string) => {
    const answer = await fetch(url + path + query, { headers: bearerHeaders(token) });
    return JSON.parse(await answer.text());
  };
  const { notices } = await asked(tokens.all, "");
  expect(notices).toContainEqual(expect.stringContaining("separation: off"));
  const own = await asked(tokens.acme, "?tenant_id=acme");
  expect(own).toMatchObject({ status: "operational", notices: [] });
  expect(own).not.toHaveProperty("authentication");
  expect(await asked(tokens.acme, "?tenant_id=globex")).toMatchObject({ code: "PERMISSION_DENIED" });
  expect(await asked(tokens.acme, "")).toMatchObject({ code: "PERMISSION_DENIED" });
});

describe("health", () => {
  const day = 86_400_000;
  const ago = (days: number) => fromNow(-days * day);
  const web = newAuthority({ name: "web" });
  const { text, tokens } = tokenPolicy(
    { ops: { roles: ["status", "operate", "key-admin"] } },
    "certificates: [{ name: web, dns: [.example.org], ca: web.pem, crl: web.crl }]",
  );

  /** Remarks, and whether the service is ready, with a certificate and a revocation list that end when they do. */
  async function remarked(certificateUntil: Date, crlUntil: Date): Promise<{ notices: string[]; ready: number }> {
    const own = newAuthority().issue({ dns: ["localhost"], from: ago(60), until: certificateUntil });
    const service = await startService(undefined, {
      tls: true,
      files: {
        "policy.yaml": text,
        "web.pem": web.pem,
        "web.crl": web.crl([], { thisUpdate: ago(10), nextUpdate: crlUntil }),
        "server.pem": own.chain,
        "server.key": own.key,
      },
    });
    onTestFinished(service.stop);
    const options = { rejectUnauthorized: false };
    const { body } = await service.http(path, { ...options, headers: bearerHeaders(tokens.ops) });
    const { status: ready } = await service.http("/q/health/ready", options);
    return { notices: JSON.parse(body).notices, ready };
  }

  it("remarks a certificate of the service that ends in a week, and a revocation list that does in a day", async () => {
    const [soon, tonight] = [fromNow(6 * day), fromNow(day / 2)];
    const { notices, ready } = await remarked(soon, tonight);
    expect(notices.slice(0, 2)).toEqual([
      expect.stringMatching(/^A revocation list of the policy is out of date from \S+Z on: renew it\.$/),
      expect.stringMatching(/^The service's certificate ends at \S+Z: renew it\.$/),
    ]);
    expect(ready).toBe(200);
  });

  it("remarks neither while there is time", async () => {
    const { notices } = await remarked(fromNow(8 * day), fromNow(2 * day));
    expect(notices.join("\n")).not.toMatch(/certificate|revocation/);
  });

  it("remarks a certificate that has ended, and is ready none the less", async () => {
    const { notices, ready } = await remarked(ago(1), fromNow(2 * day));
    expect(notices[0]).toMatch(/^The service's certificate has ended at \S+Z, and clients refuse it: renew it\.$/);
    expect(ready).toBe(200);
  });

  it("remarks a certificate that was not put into force, until it is", async () => {
    const files = { "policy.yaml": text, "web.pem": web.pem, "web.crl": web.crl() };
    const service = await startService({}, { files, tls: true });
    onTestFinished(service.stop);
    const notices = async (): Promise<string> => {
      const { body } = await service.http(path, { headers: bearerHeaders(tokens.ops) });
      return JSON.parse(body).notices.join("\n");
    };
    expect(await notices()).not.toContain("server.pem");
    const former = service.newServerFiles();
    await service.write({ "server.pem": former["server.pem"] });
    expect(await notices()).toMatch(/server\.pem or its key is not in force, and the former one is: /);
    await service.write(former);
    expect(await notices()).not.toContain("server.pem");
  });

  it("remarks an issuer whose keys cannot be had, and is ready none the less", async () => {
    const issuers = 'issuers: [{ name: sso, issuer: "https://localhost:9", audience: fluo-kms }]';
    const policy = tokenPolicy({ ops: { roles: ["status"] } }, issuers);
    const { url, stop } = await startService({}, { files: policy.files });
    onTestFinished(stop);
    const notices = async () => {
      const answer = await fetch(url + path, { headers: bearerHeaders(policy.tokens.ops) });
      return (JSON.parse(await answer.text()) as { notices: string[] }).notices;
    };
    await expect
      .poll(notices)
      .toContainEqual(expect.stringMatching(/^The keys of issuer sso cannot be had: .+\. There are none yet\.$/));
    expect((await fetch(`${url}/q/health/ready`)).status).toBe(200);
  });
});

describe("Validate", () => {
  async function advised(text: (policy: string) => string, properties: Record<string, string> = {}) {
    const policy = tokenPolicy({ ops: { roles: ["operate", "key-admin"] } });
    const { url, stop } = await startService(properties, { files: { "policy.yaml": text(policy.text) } });
    onTestFinished(stop);
    const { body } = await postJson(`${url}/api/admin/kms/validate`, {}, bearerHeaders(policy.tokens.ops));
    return body.recommendations as string[];
  }

  it("recommends nothing on a policy that is as it should be", async () => {
    const recommendations = await advised((policy) => policy);
    expectWell(recommendations);
    expect(recommendations.join("\n")).not.toMatch(/policy|separation|static token|tls/);
  });

  it("recommends on the policy in force, and is well none the less", async () => {
    const recommendations = await advised((policy) => policy.replace(", expires: 2099-01-01", ""));
    expectWell(recommendations);
    expect(recommendations).toContain("Give static tokens in the policy an end, by expires: ops.");
  });

  it("says what it means that a proxy speaks TLS", async () => {
    const recommendations = await advised((policy) => policy, { "fluo.kms.tls.terminated": "true" });
    expect(recommendations).toContainEqual(expect.stringMatching(/^fluo\.kms\.tls\.terminated is true: /));
  });

  it("recommends separation behind the ✅ if it is off", async () => {
    const recommendations = await advised((policy) => `${policy}separation: off\n`);
    expect(recommendations).toContainEqual(expect.stringMatching(/^Set separation: on in the policy/));
    expect(recommendations[0]).toMatch(/^✅ KMS configuration is valid/);
  });
});
