/** The vault provider on the fake: the contract, what each answer of Vault becomes, answers that are not believed, and the key's name. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { openVault } from "../../../src/provider/vault/open.ts";
import { takePlaintext } from "../../../src/provider/vault/response.ts";
import { connectVault } from "../../../src/provider/vault/http.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { type FakeVault, startFakeVault, transitPolicy } from "../../fakes/vault.ts";
import { newKey } from "../../fakes/vault-rules.ts";
import { thrownBy } from "../../support/matchers.ts";
import { providerContract } from "../../support/provider-contract.ts";

const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };
const keyPath = "transit/keys/fluo";
const encryptPath = "transit/encrypt/fluo";
const decryptPath = "transit/decrypt/fluo";

const shared = await startFakeVault();
afterAll(() => shared.close());

async function openTwo() {
  shared.keys.set("transit/keys/second", newKey(shared));
  const token = shared.token({ policy: "root" });
  const login = { method: "token", token, tokenFile: undefined } as const;
  return {
    provider: await openVault(shared.settings(login), realTime),
    other: await openVault(shared.settings(login, { key: "second" }), realTime),
  };
}

providerContract("vault on a fake Vault", openTwo);
providerContract("vault on a fake Vault, dependable", async () => {
  const { provider, other } = await openTwo();
  return { provider: dependable([provider], { time: realTime }), other: dependable([other], { time: realTime }) };
});

let vault: FakeVault;
let opened: Provider[];
beforeEach(async () => {
  vault = await startFakeVault();
  opened = [];
});
afterEach(async () => {
  vi.useRealTimers();
  for (const provider of opened) await provider.close();
  await vault.close();
});

async function open(settings = vault.settings()): Promise<Provider> {
  const provider = await openVault(settings, realTime);
  opened.push(provider);
  return provider;
}

function adviceOf(error: unknown): string {
  return (error as KmsError).advice ?? "";
}

describe("an answer that is not believed", () => {
  it("to a decrypt is believed as a proxy may space it", async () => {
    const provider = await open();
    const { wrapped } = await provider.generateDataKey(context);
    vault.once(decryptPath, { status: 200, body: '{ "data": { "plaintext": "AAAA" } }' });
    expect(await provider.decrypt(wrapped, context)).toHaveLength(3);
  });

  it("of a server that ignores associated data", async () => {
    const provider = await open();
    const { wrapped } = await provider.generateDataKey(context);
    vault.unknownParameters.add("associated_data");
    const error = await thrownBy(() => provider.encrypt(randomBytes(32), context));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "ignored a part of the request");
    expect(adviceOf(error)).toContain("associated_data");
    vault.unknownParameters.clear();
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  it.each<[string, unknown]>([
    ["no type", { type: 7 }],
    ["a type that is no word", { type: "<b>\nx" }],
    ["no version", { latest_version: "1" }],
    ["no versions", { keys: null }],
    ["no version at all", { keys: {} }],
    ["a version without its date", { keys: { 1: null } }],
  ])("of a key with %s", async (_what, shows) => {
    Object.assign(vault.key(keyPath).shows, shows);
    expect(await thrownBy(() => open())).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("past a megabyte", async () => {
    const provider = await open();
    vault.key(keyPath).shows.padding = "x".repeat(1 << 20);
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE");
    vault.key(keyPath).shows.padding = "x".repeat(1 << 19);
    expect((await provider.describe()).state).toBe("enabled");
  });
});

describe("a wrapped key", () => {
  it("is Vault's own text", async () => {
    const { wrapped } = await (await open()).generateDataKey(context);
    expect(Buffer.from(wrapped).toString()).toMatch(/^vault:v1:[A-Za-z0-9+/]{80}$/);
  });

  it("has one spelling: others are refused without a call", async () => {
    const provider = await open();
    const wrapped = await provider.encrypt(randomBytes(30), context);
    const text = Buffer.from(wrapped).toString();
    expect(text).toMatch(/[^=]==$/); // spare bits in the last character
    const spare = text.replace(/.==$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}==`);
    const others = [
      text.replace("v1", "v0"),
      text.replace("v1", "v01"),
      text.replace("v1", "v+1"),
      text.replace("v1", "v1234567890"),
      text.replace("vault", "Vault"),
      text.slice(0, -2),
      `${text}\n`,
      `${text.slice(0, 20)}\n${text.slice(20)}`,
      spare,
      "vault:v1:",
      "",
      `vault:v1:${Buffer.alloc(6200).toString("base64")}`,
    ];
    for (const other of others) {
      expect(await thrownBy(() => provider.decrypt(Buffer.from(other), context))).toBeKmsError("CIPHERTEXT_REJECTED");
    }
    expect(vault.count(decryptPath)).toBe(0);
    expect(await provider.decrypt(wrapped, context)).toHaveLength(30);
  });

  it("that a probe tampered with has its form, and is refused by Vault itself", async () => {
    const provider = await open();
    const { wrapped } = await provider.generateDataKey(context);
    const before = vault.count(decryptPath);
    expect(await thrownBy(() => provider.decrypt(provider.tampered(wrapped), context))).toBeKmsError(
      "CIPHERTEXT_REJECTED",
    );
    expect(vault.count(decryptPath)).toBe(before + 1);
  });

  it("opens after the key was rotated, and new ones are of the new version", async () => {
    const provider = await open();
    const { wrapped, plaintext } = await provider.generateDataKey(context);
    vault.rotate(keyPath);
    const next = await provider.encrypt(plaintext, context);
    expect(Buffer.from(next).toString()).toMatch(/^vault:v2:/);
    expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(await provider.describe()).toMatchObject({ state: "enabled", detail: "latest version 2" });
  });

  it("is bound by associated data alone, and a data key is made here", async () => {
    const provider = await open();
    await provider.generateDataKey(context);
    const [call] = vault.calls.filter(({ path }) => path === encryptPath);
    expect(Object.keys(call!.body)).toEqual(["plaintext", "associated_data"]);
    expect(vault.count(/datakey/)).toBe(0);
  });
});

describe("the key", () => {
  it("is named by mount and name, and namespace where there is one", async () => {
    expect((await open()).keyId).toBe("transit/keys/fluo");
    const team = vault.settings(
      { method: "token", token: vault.token({ policy: "root" }), tokenFile: undefined },
      { namespace: "team" },
    );
    expect((await open(team)).keyId).toBe("team/transit/keys/fluo");
  });

  it("is another in another namespace", async () => {
    const login = { method: "token", token: vault.token({ policy: "root" }), tokenFile: undefined } as const;
    const [root, team] = [await open(vault.settings(login)), await open(vault.settings(login, { namespace: "team" }))];
    const { wrapped } = await root.generateDataKey(context);
    expect(await thrownBy(() => team.decrypt(wrapped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
    const elsewhere = await thrownBy(() => open(vault.settings(login, { namespace: "nowhere" })));
    expect(elsewhere).toBeKmsError("PROVIDER_DENIED", "no such namespace");
  });

  it("must be there, and advice makes it", async () => {
    vault.keys.set("transit/keys/other", newKey(vault));
    vault.keys.delete(keyPath);
    const error = await thrownBy(() => open());
    expect(error).toBeKmsError("PROVIDER_DENIED", "transit/keys/fluo");
    expect(adviceOf(error)).toContain("vault write -f transit/keys/fluo");
    expect(vault.keys.has(keyPath)).toBe(false);
  });

  it.each<[string, Record<string, unknown>]>([
    ["of type rsa-4096", { type: "rsa-4096" }],
    ["of type aes128-gcm96", { type: "aes128-gcm96" }],
    ["derived", { derived: true }],
    ["convergent", { convergent_encryption: true }],
  ])("is refused %s", async (_what, shows) => {
    const { shows: real } = vault.key(keyPath);
    Object.assign(real, shows);
    expect(await thrownBy(() => open())).toBeKmsError("INVALID_ARGUMENT", "vault.transit.key");
    for (const name of Object.keys(shows)) delete real[name];
    expect((await (await open()).describe()).state).toBe("enabled");
  });

  it.each(["soft-deleted", "deleted"])("is disabled while it is %s", async (how) => {
    const provider = await open();
    const key = vault.key(keyPath);
    vault.keys.set("transit/keys/other", newKey(vault));
    if (how === "deleted") vault.keys.delete(keyPath);
    key.softDeleted = true;
    expect(await provider.describe()).toMatchObject({
      state: "disabled",
      detail: expect.stringMatching(/deleted|missing/),
    });
    expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED");
    const { advice } = await provider.inspect();
    expect(advice.join("\n")).toContain(how === "deleted" ? "backup=@FILE" : "soft-delete-restore");
    key.softDeleted = false;
    vault.keys.set(keyPath, key);
    expect((await provider.describe()).state).toBe("enabled");
    expect((await provider.generateDataKey(context)).plaintext).toHaveLength(32);
  });

  it("is not made anew by an encrypt after its deletion, with update alone", async () => {
    const provider = await open();
    vault.keys.set("transit/keys/other", newKey(vault));
    vault.keys.delete(keyPath);
    const error = await thrownBy(() => provider.generateDataKey(context));
    expect(error).toBeKmsError("PROVIDER_DENIED", "has no key transit/keys/fluo"); // Vault says that the policy denies it
    expect(adviceOf(error)).toContain("backup=@FILE");
    expect(vault.keys.has(keyPath)).toBe(false);
  });

  it("is not called missing where the policy does deny an encrypt", async () => {
    const token = vault.token({ policy: new Map([...transitPolicy, [encryptPath, ["deny"]]]) });
    const provider = await open(vault.settings({ method: "token", token, tokenFile: undefined }));
    const error = await thrownBy(() => provider.generateDataKey(context));
    expect(error).toBeKmsError("PROVIDER_DENIED", "denies access");
    expect(adviceOf(error)).toContain('path "transit/encrypt/fluo"');
  });

  it("is refused when an encrypt made it anew, by its version at once", async () => {
    vault.rotate(keyPath);
    const login = { method: "token", token: vault.token({ policy: "root" }), tokenFile: undefined } as const;
    const provider = await open(vault.settings(login));
    const former = vault.key(keyPath);
    vault.keys.set("transit/keys/other", newKey(vault));
    vault.keys.delete(keyPath);
    vault.advance(5_000);
    const error = await thrownBy(() => provider.generateDataKey(context));
    expect(vault.keys.has(keyPath)).toBe(true);
    expect(error).toBeKmsError("PROVIDER_DENIED", "another key");
    expect(adviceOf(error)).toContain('path "transit/encrypt/fluo" { capabilities = ["update"] }');
    vault.keys.set(keyPath, former);
    expect((await provider.describe()).state).toBe("enabled");
    expect((await provider.generateDataKey(context)).plaintext).toHaveLength(32);
  });

  it("is refused when it is another of its name, from the describe that shows it", async () => {
    const provider = await open();
    vault.advance(5_000);
    vault.keys.set(keyPath, newKey(vault));
    expect(await provider.describe()).toMatchObject({ state: "disabled", detail: "replaced by another of its name" });
    expect(await thrownBy(() => provider.encrypt(randomBytes(32), context))).toBeKmsError(
      "PROVIDER_DENIED",
      "another key",
    );
    expect(vault.count(encryptPath)).toBe(0);
  });

  it("is the same after its older versions were trimmed, and not when only older ones are left", async () => {
    const { versions } = vault.key(keyPath);
    vault.rotate(keyPath);
    const provider = await open();
    vault.rotate(keyPath);
    for (const version of [1, 2]) versions.delete(version);
    expect((await provider.describe()).state).toBe("enabled");
    vault.keys.set(keyPath, newKey(vault));
    expect((await provider.describe()).detail).toBe("replaced by another of its name");
  });

  it("may answer with an older version from a replica that lags behind", async () => {
    const provider = await open();
    const { wrapped, plaintext } = await provider.generateDataKey(context);
    vault.rotate(keyPath);
    await provider.describe();
    const ciphertext = Buffer.from(wrapped).toString();
    vault.fault(encryptPath, { status: 200, body: { data: { ciphertext, key_version: 1 } } });
    expect(Buffer.compare(await provider.encrypt(plaintext, context), wrapped)).toBe(0);
  });

  it("says how far this machine's clock is off", async () => {
    const provider = await open();
    vi.useFakeTimers({ toFake: ["Date"] });
    vault.advance(120_000);
    const { clockSkewMs = 0 } = await provider.describe();
    expect(Math.abs(clockSkewMs + 120_000)).toBeLessThan(3_000);
  });
});

describe("inspect", () => {
  it("has nothing to say of a key and a policy as they should be", async () => {
    expect(await (await open()).inspect()).toMatchObject({ state: "enabled", rotation: "every 30 days", advice: [] });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["is exportable", { exportable: true }, "exportable"],
    ["allows plaintext backups", { allow_plaintext_backup: true }, "plaintext backups"],
    ["can be deleted", { deletion_allowed: true }, "vault write transit/keys/fluo/config deletion_allowed=false"],
    ["is never rotated", { auto_rotate_period: 0 }, "vault write transit/keys/fluo/config auto_rotate_period=720h"],
  ])("warns of a key that %s", async (_what, shows, advice) => {
    Object.assign(vault.key(keyPath).shows, shows);
    const report = await (await open()).inspect();
    expect(report.advice).toHaveLength(1);
    expect(report.advice[0]).toContain(advice);
  });

  it.each<[string, [string, string[]], string]>([
    ["may create", [encryptPath, ["create", "update"]], "has create on transit/encrypt/fluo"],
    ["may not encrypt", [encryptPath, ["deny"]], "may not update transit/encrypt/fluo"],
    ["may not decrypt", [decryptPath, ["read"]], "may not update transit/decrypt/fluo"],
  ])("warns of a token that %s", async (_what, line, advice) => {
    const token = vault.token({ policy: new Map([...transitPolicy, line]) });
    const report = await (await open(vault.settings({ method: "token", token, tokenFile: undefined }))).inspect();
    expect(report.advice).toHaveLength(1);
    expect(report.advice[0]).toContain(advice);
    expect(report.advice[0]).toContain('path "transit/decrypt/fluo" { capabilities = ["update"] }');
  });

  it("warns of a root token, and says nothing where it may not ask", async () => {
    const token = vault.token({ policy: "root" });
    const root = await open(vault.settings({ method: "token", token, tokenFile: undefined }));
    expect((await root.inspect()).advice[0]).toContain("The token is a root token");
    vault.tokens.get(token)!.selfService = false;
    expect((await root.inspect()).advice).toEqual([]);
  });

  it("speaks of the rotation in hours where it is no number of days, and of none where Vault does not say", async () => {
    Object.assign(vault.key(keyPath).shows, { auto_rotate_period: 3600 * 36 });
    const provider = await open();
    expect((await provider.inspect()).rotation).toBe("every 36 hours");
    Object.assign(vault.key(keyPath).shows, { auto_rotate_period: undefined });
    expect((await provider.inspect()).rotation).toBeUndefined();
  });
});

describe("connections", () => {
  it("are closed with the provider, and calls after it fail", async () => {
    const provider = await open();
    await Promise.all(Array.from({ length: 30 }, () => provider.generateDataKey(context)));
    expect(vault.openConnections()).toBeGreaterThan(0);
    await provider.close();
    await vault.left();
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "closed");
    await provider.close();
  });

  it("are used again", async () => {
    const provider = await open();
    for (let call = 0; call < 20; call += 1) await provider.generateDataKey(context);
    expect(vault.connections()).toBe(1);
  });

  it("are refused where nothing listens, and so is the start", async () => {
    const settings = vault.settings();
    await vault.close();
    expect(await thrownBy(() => openVault(settings, realTime))).toBeKmsError("PROVIDER_UNAVAILABLE", "ECONNREFUSED");
    vault = await startFakeVault();
  });
});

describe("a secret", () => {
  it("is overwritten in the request that was sent and in the answer that was read", async () => {
    const connection = await connectVault(vault.settings());
    const body = Buffer.from('{"plaintext":"c2VjcmV0"}');
    const request = { method: "POST", path: encryptPath, token: vault.token(), body } as const;
    const { status } = await connection.send(request);
    expect(status).toBe(200);
    expect(body.every((byte) => byte === 0)).toBe(true);
    connection.close();
    const answer = { status: 200, body: Buffer.from('{"data":{"plaintext":"c2VjcmV0"}}'), dateMs: undefined };
    expect(takePlaintext(answer).toString()).toBe("secret");
    expect(answer.body.every((byte) => byte === 0)).toBe(true);
  });
});

describe("the settings", () => {
  it.each<[string, string, object]>([
    ["an address without a scheme", "vault.addr", { addr: "vault.example.com:8200" }],
    ["an address with a password", "vault.addr", { addr: "http://a:b@localhost" }],
    ["a mount with ..", "vault.transit.mount", { mount: "a/../sys" }],
    ["a mount with a query", "vault.transit.mount", { mount: "transit?x" }],
    ["a key with a slash", "vault.transit.key", { key: "a/rotate" }],
    ["a key that ends in a dot", "vault.transit.key", { key: "a." }],
    ["a namespace that ends in a slash", "vault.namespace", { namespace: "team/" }],
    ["a CA file that is missing", "vault.cacert", { caFile: "/nowhere/ca.pem" }],
    ["a CA file without a certificate", "vault.cacert", { caFile: import.meta.filename }],
  ])("are refused by name: %s", async (_what, setting, over) => {
    const settings = vault.settings(undefined, over);
    expect(await thrownBy(() => openVault(settings, realTime))).toBeKmsError("INVALID_ARGUMENT", setting);
    expect(vault.calls).toHaveLength(0);
  });
});

const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string) => join(directory, name);
const openssl = (...args: string[]) => spawnSync("openssl", args).status === 0;
const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
writeFileSync(file("san.cnf"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
const made =
  openssl("req", "-x509", ...ec, "-days", "2", "-subj", "/CN=ca", "-keyout", file("ca.key"), "-out", file("ca.pem")) &&
  openssl("req", "-new", ...ec, "-subj", "/CN=localhost", "-keyout", file("server.key"), "-out", file("server.csr")) &&
  openssl(
    ...["x509", "-req", "-in", file("server.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial"],
    ...["-days", "2", "-extfile", file("san.cnf"), "-out", file("server.pem")],
  );
if (!made) console.warn("openssl cannot make certificates here: TLS to Vault is not tested");

it.skipIf(made || !process.env.CI)("openssl makes certificates", () => expect(made).toBe(true));

describe.skipIf(!made)("over TLS", () => {
  it("is trusted by the CA file, and by nothing else", async () => {
    const secure = await startFakeVault({
      key: readFileSync(file("server.key")),
      cert: readFileSync(file("server.pem")),
    });
    const provider = await openVault(secure.settings(undefined, { caFile: file("ca.pem") }), realTime);
    expect((await provider.generateDataKey(context)).plaintext).toHaveLength(32);
    await provider.close();
    const error = await thrownBy(() => openVault(secure.settings(), realTime));
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    expect(adviceOf(error)).toContain("vault.cacert");
    await secure.close();
  });
});
