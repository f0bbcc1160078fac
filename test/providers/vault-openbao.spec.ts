/** The vault provider on a real OpenBao: the contract, logins with short leases, policies, sealing, and what becomes of a key. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { rootCertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { KmsError } from "../../src/errors.ts";
import { dependable } from "../../src/provider/failover.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { openVault } from "../../src/provider/vault/open.ts";
import type { VaultLogin, VaultSettings } from "../../src/provider/vault/settings.ts";
import { secondsFromNow } from "../support/from-now.ts";
import { hungMs } from "../support/hung.ts";
import { thrownBy } from "../support/matchers.ts";
import { providerContract } from "../support/provider-contract.ts";
import { type OpenBao, startOpenBao } from "./openbao.ts";
import { whole } from "../support/short.ts";
import { realTime } from "../../src/runtime/time.ts";

const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };
const rootLogin: VaultLogin = { method: "token", token: "root", tokenFile: undefined };
const service = "fluo-kms";
/** As the advice of the provider gives it. */
const servicePolicy = ["encrypt", "decrypt"]
  .map((what) => `path "transit/${what}/fluo" { capabilities = ["update"] }\n`)
  .concat('path "transit/keys/fluo" { capabilities = ["read"] }\n')
  .join("");

const bao = await startOpenBao();
afterAll(() => bao.close());
await bao.call("POST", "sys/mounts/transit", { type: "transit" });
await bao.call("POST", "sys/auth/approle", { type: "approle" });
for (const key of ["second", "third"]) await bao.call("POST", `transit/keys/${key}`, {});
await bao.call("POST", "transit/keys/chacha", { type: "chacha20-poly1305" });
await bao.call("POST", "sys/namespaces/team", {});
await bao.call("POST", "sys/mounts/transit", { type: "transit" }, "team");
await bao.call("POST", "transit/keys/fluo", {}, "team");

const asRoot = (key: string, over?: Partial<VaultSettings>) =>
  openVault(bao.settings(rootLogin, { key, ...over }), realTime);

providerContract("vault on OpenBao", async () => ({ provider: await asRoot("second"), other: await asRoot("third") }));
providerContract("vault on OpenBao, ChaCha20-Poly1305, dependable", async () => ({
  provider: dependable([await asRoot("chacha")], { time: realTime }),
  other: dependable([await asRoot("second")], { time: realTime }),
}));
providerContract(
  "vault on OpenBao, in a namespace",
  async () => ({ provider: await asRoot("fluo", { namespace: "team" }), other: await asRoot("third") }),
  { flipEveryBits: 17 },
);

let opened: Provider[];
beforeEach(async () => {
  opened = [];
  await bao.call("POST", "transit/keys/fluo", {});
  await bao.call("POST", `sys/policies/acl/${service}`, { policy: servicePolicy });
});
afterEach(async () => {
  for (const provider of opened) await provider.close();
  await bao.call("POST", "transit/keys/fluo/config", { deletion_allowed: true }).catch(() => {});
  await bao.call("DELETE", "transit/keys/fluo").catch(() => {});
});

async function open(login: VaultLogin, over?: Partial<VaultSettings>): Promise<Provider> {
  const provider = await openVault(bao.settings(login, over), realTime);
  opened.push(provider);
  return provider;
}

async function serviceToken(): Promise<VaultLogin> {
  return { method: "token", token: await bao.token(service), tokenFile: undefined };
}

const use = (provider: Provider) => provider.encrypt(randomBytes(32), context);
const adviceOf = (error: unknown) => (error as KmsError).advice ?? "";

describe("on OpenBao, a token of the service's own policy", () => {
  it("is enough, and inspect has nothing to say", async () => {
    await bao.call("POST", "transit/keys/fluo/config", { auto_rotate_period: "720h" });
    const provider = await open(await serviceToken());
    const { wrapped, plaintext } = await provider.generateDataKey(context);
    expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(await provider.inspect()).toMatchObject({ state: "enabled", rotation: "every 30 days", advice: [] });
  });

  it("is told from one that may create, and from root", async () => {
    const policy = servicePolicy.replace('["update"]', '["create", "update"]');
    await bao.call("POST", `sys/policies/acl/${service}`, { policy });
    const [advice, ...others] = (await (await open(await serviceToken())).inspect()).advice.filter((each) =>
      each.includes("token"),
    );
    expect(advice).toContain("has create on transit/encrypt/fluo");
    expect(advice).toContain(servicePolicy.trim().replaceAll("\n", " ")); // as one line, to be copied
    expect(others).toEqual([]);
    expect((await (await open(rootLogin)).inspect()).advice.join()).toContain("root token");
  });

  it("is denied by its policy without a new login, and serves on when the policy is right again", async () => {
    const login = await bao.appRole("denied", { token_policies: service });
    const provider = await open(login);
    const wrapped = await use(provider);
    await bao.call("POST", `sys/policies/acl/${service}`, { policy: servicePolicy.replace(/.*decrypt.*\n/, "") });
    const error = await thrownBy(() => provider.decrypt(wrapped, context));
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
    expect(adviceOf(error)).toContain('path "transit/decrypt/fluo" { capabilities = ["update"] }');
    await bao.call("POST", `sys/policies/acl/${service}`, { policy: servicePolicy });
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });
});

describe("on OpenBao, a login", () => {
  whole("by AppRole outlives its tokens' leases and their longest life", async () => {
    const login = await bao.appRole("short", { token_policies: service, token_ttl: "2s", token_max_ttl: "4s" });
    const provider = await open(login);
    const until = performance.now() + 7_000;
    while (performance.now() < until) {
      await use(provider);
      await pause(20);
    }
  });

  whole("by AppRole that is good for one use is renewed to its token's longest life, and ends there", async () => {
    const options = { token_policies: service, token_ttl: "1s", token_max_ttl: "4s" };
    const provider = await open(await bao.appRole("once", { ...options, secret_id_num_uses: 1 }));
    const loggedInAtMs = performance.now();
    const error = await refusedInTime(provider);
    expect(performance.now() - loggedInAtMs).toBeGreaterThan(2_000); // without renewals it were one
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("secret-id");
  });

  it("by AppRole is made once more when its tokens are revoked, for all calls together", async () => {
    const provider = await open(await bao.appRole("revoked", { token_policies: service }));
    const wrapped = await use(provider);
    await bao.call("POST", "sys/leases/revoke-prefix/auth/approle/login", {});
    const opens = Array.from({ length: 20 }, () => provider.decrypt(wrapped, context));
    expect((await Promise.all(opens)).map(({ length }) => length)).toEqual(Array(20).fill(32));
  });

  it("by AppRole leaves no token behind", async () => {
    const tokens = async () =>
      (await bao.call<{ keys: string[] }>("GET", "auth/token/accessors?list=true")).keys.length;
    const login = await bao.appRole("closed", { token_policies: service });
    const before = await tokens();
    const provider = await open(login);
    expect(await tokens()).toBe(before + 1);
    await provider.close();
    expect(await tokens()).toBe(before);
  });

  it("by AppRole with a wrong secret id is refused", async () => {
    const login = await bao.appRole("wrong", { token_policies: service });
    const error = await thrownBy(() => open({ ...login, secretId: "wrong" }));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
  });

  it("by a token that is not known, or of another mount, is refused", async () => {
    const unknown = await thrownBy(() => open({ method: "token", token: "s.unknown", tokenFile: undefined }));
    expect(unknown).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    const login = await bao.appRole("elsewhere", { token_policies: service });
    const elsewhere = await thrownBy(() => open({ ...login, mount: "elsewhere" }));
    expect(elsewhere).toBeKmsError("PROVIDER_DENIED", "refuses the login");
  });

  it("by AppRole in a namespace", async () => {
    await bao.call("POST", "sys/auth/approle", { type: "approle" }, "team");
    await bao.call("POST", `sys/policies/acl/${service}`, { policy: servicePolicy }, "team");
    const login = await bao.appRole("team", { token_policies: service }, "team");
    const provider = await open(login, { namespace: "team" });
    expect(provider.keyId).toBe("team/transit/keys/fluo");
    await use(provider);
    expect(await thrownBy(() => open(login))).toBeKmsError("PROVIDER_DENIED", "refuses the login");
  });
});

/** The tokens of service accounts are vouched for by this stand-in for the Kubernetes API's TokenReview. */
describe("on OpenBao, a login by Kubernetes", () => {
  const claims = { iss: "kubernetes/serviceaccount", sub: "system:serviceaccount:fluo:kms" };
  const [good, bad] = [jwt({ ...claims, jti: "good" }), jwt({ ...claims, jti: "bad" })];
  let directory: string;
  const reviewer = createServer(async (request, response) => {
    const review = (await json(request)) as { spec: { token: string } };
    const user = { username: claims.sub, uid: "1", groups: ["system:serviceaccounts"] };
    const status = review.spec.token === good ? { authenticated: true, user } : { authenticated: false };
    response.writeHead(201, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...review, status }));
  });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "fluo-kms-"));
    await once(reviewer.listen(0, "127.0.0.1"), "listening");
    await bao.call("POST", "sys/auth/kubernetes", { type: "kubernetes" });
    const host = `http://127.0.0.1:${(reviewer.address() as AddressInfo).port}`;
    await bao.call("POST", "auth/kubernetes/config", {
      kubernetes_host: host,
      kubernetes_ca_cert: rootCertificates[0], // any: it does not come into play without TLS
      token_reviewer_jwt: good,
      disable_local_ca_jwt: true,
    });
    await bao.call("POST", "auth/kubernetes/role/fluo", {
      bound_service_account_names: "kms",
      bound_service_account_namespaces: "fluo",
      token_policies: service,
    });
  });
  afterAll(async () => {
    await once(reviewer.close(), "close");
    await rm(directory, { recursive: true });
  });

  it("is allowed to the service account of the role, and to no other token", async () => {
    const tokenFile = join(directory, "token");
    const login = { method: "kubernetes", mount: "kubernetes", role: "fluo", tokenFile } as const;
    await writeFile(tokenFile, good);
    await use(await open(login));
    await writeFile(tokenFile, bad);
    const error = await thrownBy(() => open(login));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("auth/kubernetes/role/ROLE");
  });

  function jwt(payload: object): string {
    const account = { name: "kms", uid: "1" };
    const body = { ...payload, "kubernetes.io": { namespace: "fluo", serviceaccount: account } };
    return [{ alg: "RS256" }, body, "sig"]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
  }
});

describe("on OpenBao, the key", () => {
  it("serves on in new versions, and is refused below min_decryption_version", async () => {
    const provider = await open(await serviceToken());
    const first = await use(provider);
    await bao.call("POST", "transit/keys/fluo/rotate");
    const second = await use(provider);
    expect(Buffer.from(second).toString()).toMatch(/^vault:v2:/);
    expect(await provider.decrypt(first, context)).toHaveLength(32);
    await bao.call("POST", "transit/keys/fluo/config", { min_decryption_version: 2 });
    const error = await thrownBy(() => provider.decrypt(first, context));
    expect(error).toBeKmsError("PROVIDER_DENIED");
    expect(adviceOf(error)).toContain("min_decryption_version=1");
    expect((await provider.describe()).detail).toBe("latest version 2, opens version 2 and later");
    expect(await provider.decrypt(second, context)).toHaveLength(32);
  });

  it("is disabled while it is soft-deleted", async () => {
    const provider = await open(await serviceToken());
    const wrapped = await use(provider);
    await bao.call("DELETE", "transit/keys/fluo/soft-delete");
    expect((await provider.describe()).state).toBe("disabled");
    expect((await provider.inspect()).advice.join()).toContain("vault write -f transit/keys/fluo/soft-delete-restore");
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "deleted");
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED", "deleted");
    await bao.call("POST", "transit/keys/fluo/soft-delete-restore");
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  async function deleteKey(): Promise<void> {
    await bao.call("POST", "transit/keys/fluo/config", { deletion_allowed: true });
    await bao.call("DELETE", "transit/keys/fluo");
  }

  it("is missing after its deletion, and made by no encrypt with update alone", async () => {
    const provider = await open(await serviceToken());
    const wrapped = await use(provider);
    await deleteKey();
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "has no key");
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED");
    expect(await provider.describe()).toMatchObject({ state: "disabled", detail: "missing" });
    const error = await thrownBy(() => open(rootLogin));
    expect(error).toBeKmsError("PROVIDER_DENIED", "transit/keys/fluo");
    expect(adviceOf(error)).toContain("vault write -f transit/keys/fluo");
  });

  it("is refused when an encrypt with create made it anew", async () => {
    await bao.call("POST", "transit/keys/fluo/rotate");
    const provider = await open(rootLogin);
    const madeAtSecond = secondsFromNow(0);
    await deleteKey();
    while (secondsFromNow(0) <= madeAtSecond) await pause(20); // the dates of versions are in seconds
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "another key");
    expect((await bao.call<{ latest_version: number }>("GET", "transit/keys/fluo")).latest_version).toBe(1); // it was made
    expect(await provider.describe()).toMatchObject({ state: "disabled", detail: "replaced by another of its name" });
  });

  it("is refused where it is derived, or of a type that authenticates nothing", async () => {
    await bao.call("POST", "transit/keys/derived", { derived: true });
    await bao.call("POST", "transit/keys/rsa", { type: "rsa-2048" });
    for (const key of ["derived", "rsa"]) {
      expect(await thrownBy(() => open(rootLogin, { key }))).toBeKmsError("INVALID_ARGUMENT", "vault.transit.key");
    }
  });

  it("is out of reach in a mount or namespace that is not there", async () => {
    expect(await thrownBy(() => open(rootLogin, { mount: "nowhere" }))).toBeKmsError("PROVIDER_DENIED", "mount");
    expect(await thrownBy(() => open(rootLogin, { namespace: "nowhere" }))).toBeKmsError("PROVIDER_DENIED");
  });
});

describe("on OpenBao, an outage", () => {
  it("is a seal, and the provider serves on after it", async () => {
    const provider = await open(await serviceToken());
    const wrapped = await use(provider);
    await bao.seal();
    const error = await thrownBy(() => provider.decrypt(wrapped, context));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "503");
    expect(adviceOf(error)).toContain("bao operator unseal");
    expect(await thrownBy(() => open(rootLogin))).toBeKmsError("PROVIDER_UNAVAILABLE");
    await bao.unseal();
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  it("is a rate limit", async () => {
    const provider = await open(await serviceToken());
    await bao.call("POST", "sys/quotas/rate-limit/tight", { path: "transit/", rate: 1, interval: "60s" });
    await use(provider);
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_UNAVAILABLE", "429");
    await bao.call("DELETE", "sys/quotas/rate-limit/tight");
    await use(provider);
  });

  it("is a server that is gone", async () => {
    const other: OpenBao = await startOpenBao();
    await other.call("POST", "sys/mounts/transit", { type: "transit" });
    await other.call("POST", "transit/keys/fluo", {});
    const provider = await openVault(other.settings(rootLogin), realTime);
    await other.close();
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_UNAVAILABLE");
    await provider.close();
  });
});

async function refusedInTime(provider: Provider): Promise<unknown> {
  const until = performance.now() + hungMs;
  while (performance.now() < until) {
    const failure = await use(provider).then(
      () => undefined,
      (error) => error,
    );
    if (failure !== undefined) return failure;
    await pause(20);
  }
  throw new Error("nothing was refused in time");
}
