/** The vault provider on the fake: the contract, what each answer of Vault becomes, answers that are not believed, and the key's name. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KmsError, type KmsErrorCode, RpcCode, rpcCode } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { openProvider } from "../../../src/provider/registry.ts";
import { defaultResilience } from "../../../src/provider/call-policies.ts";
import { openVault } from "../../../src/provider/vault/open.ts";
import { takePlaintext } from "../../../src/provider/vault/response.ts";
import { connectVault } from "../../../src/provider/vault/http.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { type FakeVault, type Fault, startFakeVault, transitPolicy } from "../../fakes/vault.ts";
import { newKey, policyDenial } from "../../fakes/vault-rules.ts";
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

describe("an answer of Vault", () => {
  interface Case {
    what: string;
    fault: Fault;
    code: KmsErrorCode;
    status: number;
    attempts: number;
    advice?: string;
    call?: "decrypt" | "encrypt" | "describe";
  }
  const errors = (status: number, ...texts: string[]): Fault => ({ status, body: { errors: texts } });
  const denied = { code: "PROVIDER_DENIED", status: RpcCode.FAILED_PRECONDITION, attempts: 1 } as const;
  const rejected = { code: "CIPHERTEXT_REJECTED", status: RpcCode.INVALID_ARGUMENT, attempts: 1 } as const;
  const unavailable = { code: "PROVIDER_UNAVAILABLE", status: RpcCode.UNAVAILABLE, attempts: 3 } as const;

  const cases: Case[] = [
    { what: "a tag that does not fit", fault: errors(400, "cipher: message authentication failed"), ...rejected },
    { what: "ChaCha20's", fault: errors(400, "chacha20poly1305: message authentication failed"), ...rejected },
    { what: "a version to come", fault: errors(400, "invalid ciphertext: version is too new"), ...rejected },
    { what: "a ciphertext too short", fault: errors(400, "invalid ciphertext length"), ...rejected },
    {
      what: "a version below min_decryption_version",
      fault: errors(400, "ciphertext or signature version is disallowed by policy (too old)"),
      ...denied,
      advice: "vault write transit/keys/fluo/config min_decryption_version=1",
    },
    {
      what: "a key that is gone",
      fault: errors(400, "encryption key not found"),
      ...denied,
      advice: "vault write transit/restore/fluo backup=@FILE",
    },
    {
      what: "a key that is soft-deleted",
      fault: errors(400, "refusing to use soft-deleted key"),
      ...denied,
      advice: "vault write -f transit/keys/fluo/soft-delete-restore",
    },
    {
      what: "a policy's denial",
      fault: errors(403, policyDenial),
      ...denied,
      advice: 'path "transit/decrypt/fluo" { capabilities = ["update"] }',
    },
    {
      what: "a mount that is not there",
      fault: errors(404, 'no handler for route "transit/decrypt/fluo". route entry not found.'),
      ...denied,
      advice: "vault secrets enable -path=transit transit",
    },
    {
      what: "a namespace that is not there",
      fault: errors(404, "namespace not found"),
      ...denied,
      advice: "vault.namespace",
    },
    {
      what: "an engine of another kind",
      fault: errors(405, "1 error occurred:\n\t* unsupported operation\n\n"),
      ...denied,
    },
    { what: "a request that it refuses", fault: errors(400, "something else"), ...denied },
    { what: "sealed", fault: errors(503, "Vault is sealed"), ...unavailable, advice: "bao operator unseal" },
    {
      what: "not initialised",
      fault: errors(501, "Vault is not initialized"),
      ...unavailable,
      advice: "vault operator init",
    },
    { what: "a rate limit", fault: errors(429, 'request path "x": rate limit quota exceeded'), ...unavailable },
    { what: "a disaster recovery secondary", fault: errors(472), ...unavailable },
    { what: "a performance standby", fault: errors(473), ...unavailable },
    { what: "a replica that lags behind", fault: errors(412, "required index state not present"), ...unavailable },
    { what: "an internal error", fault: errors(500, "internal error"), ...unavailable },
    { what: "a bad gateway's page", fault: { status: 502, body: "<html>Bad Gateway</html>" }, ...unavailable },
    { what: "a page with status 200", fault: { status: 200, body: "<html>Welcome</html>" }, ...unavailable },
    { what: "a page with status 403", fault: { status: 403, body: "<html>Blocked</html>" }, ...unavailable },
    { what: "broken JSON", fault: { status: 200, body: '{"data":{"plaintext":"AAAA"' }, ...unavailable },
    { what: "an empty object", fault: { status: 200, body: {} }, ...unavailable },
    { what: "no content", fault: { status: 204 }, ...unavailable },
    {
      what: "a redirect to the active node",
      fault: { status: 307, headers: { location: "http://127.0.0.1:9/v1/x" } },
      ...unavailable,
      advice: "vault.addr",
    },
    { what: "a connection reset", fault: "reset", ...unavailable },
    { what: "no answer", fault: "hang", ...unavailable },
    { what: "half an answer", fault: "stall", ...unavailable },
  ];

  /** That of each attempt once it has arrived, and of the pauses between them. */
  async function haveTimePass(attempts: number): Promise<void> {
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      while (vault.count(decryptPath) < attempt) {
        vi.advanceTimersByTime(1);
        await new Promise(setImmediate);
      }
      vi.advanceTimersByTime(defaultResilience.attemptTimeoutMs);
    }
  }

  it.each(cases)("that is $what is $code", async ({ fault, code, status, attempts, advice }) => {
    const place = await open();
    const isSilent = fault === "hang" || fault === "stall";
    if (isSilent) vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const provider = dependable([place], { time: realTime, maxRetries: 2, firstPauseMs: 1 });
    const { wrapped } = await provider.generateDataKey(context);
    vault.fault(decryptPath, fault);
    const ended = thrownBy(() => provider.decrypt(wrapped, context));
    if (isSilent) await haveTimePass(attempts);
    const error = await ended;
    expect(error).toBeKmsError(code);
    expect(rpcCode[(error as KmsError).code]).toBe(status);
    expect(vault.count(decryptPath)).toBe(attempts);
    expect(vault.count("auth/token/lookup-self")).toBe(1); // at the start: nothing of this is a reason to log in
    if (advice !== undefined) expect(adviceOf(error)).toContain(advice);
    const said = typeof fault === "object" ? JSON.stringify(fault.body ?? "") : "";
    for (const words of JSON.stringify(said).match(/[a-z]+ [a-z]+ [a-z]+/g) ?? []) {
      expect((error as KmsError).message).not.toContain(words);
    }
    vault.fault(decryptPath, undefined);
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  it("keeps the server's words for the log", async () => {
    const provider = await open();
    vault.fault(encryptPath, errors(503, "Vault is sealed"));
    const error = (await thrownBy(() => provider.encrypt(randomBytes(32), context))) as KmsError;
    expect(error.message).toBe("provider vault answered with status 503");
    expect(String(error.cause)).toContain("Vault is sealed");
  });
});

describe("an answer that is not believed", () => {
  const sealed = (bytes: number) => `vault:v1:${Buffer.alloc(bytes).toString("base64")}`;

  it.each<[string, unknown]>([
    ["without a ciphertext", { key_version: 1 }],
    ["with a ciphertext that is a number", { ciphertext: 7, key_version: 1 }],
    ["with version 0", { ciphertext: sealed(60).replace("v1", "v0"), key_version: 0 }],
    ["with another version than its ciphertext", { ciphertext: sealed(60), key_version: 2 }],
    ["without a version", { ciphertext: sealed(60) }],
    ["with a ciphertext without room for a tag", { ciphertext: sealed(28), key_version: 1 }],
    ["with a ciphertext past 8192 bytes", { ciphertext: sealed(6200), key_version: 1 }],
    ["with base64 of another alphabet", { ciphertext: `vault:v1:${"-".repeat(80)}`, key_version: 1 }],
    ["with data that is a list", []],
  ])("to an encrypt, %s", async (_what, data) => {
    const provider = await open();
    vault.fault(encryptPath, { status: 200, body: { data } });
    expect(await thrownBy(() => provider.encrypt(randomBytes(32), context))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it.each<[string, string]>([
    ["without a plaintext", '{"data":{}}'],
    ["with an empty one", '{"data":{"plaintext":""}}'],
    ["with none", '{"data":{"plaintext":null}}'],
    ["with one that is no base64", '{"data":{"plaintext":"????"}}'],
    ["with base64 of another spelling", '{"data":{"plaintext":"AB=="}}'],
    ["with an escape", '{"data":{"plaintext":"AA\\u0041A"}}'],
    ["with one past 4096 bytes", JSON.stringify({ data: { plaintext: Buffer.alloc(4097).toString("base64") } })],
    ["with one elsewhere", '{"plaintext":"AAAA","data":{}}'],
    ["with two", '{"data":{"plaintext":"AAAA"},"data":{"plaintext":"BBBB"}}'],
  ])("to a decrypt, %s", async (_what, body) => {
    const provider = await open();
    const { wrapped } = await provider.generateDataKey(context);
    vault.fault(decryptPath, { status: 200, body });
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_UNAVAILABLE");
    vault.fault(decryptPath, { status: 200, body: '{ "data": { "plaintext": "AAAA" } }' }); // as a proxy may space it
    expect(await provider.decrypt(wrapped, context)).toHaveLength(3);
  });

  it("that sends the request back, of whose token the log has nothing", async () => {
    const provider = await open();
    const token = "hvs.CAESIJhunter2hunter2hunter2hunter2";
    vault.fault(/encrypt/, { status: 400, body: { errors: [`bad request: X-Vault-Token: ${token}`] } });
    const error = (await thrownBy(() => provider.encrypt(randomBytes(32), context))) as KmsError;
    expect(String(error.cause)).toContain("bad request: X-Vault-Token: (hidden)");
    vault.fault(/encrypt/, undefined);
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

describe("a call that is given up", () => {
  it.each<[string, Fault]>([
    ["hangs", "hang"],
    ["stalls", "stall"],
  ])("while the answer %s ends at once and leaves no connection open", async (_what, fault) => {
    const provider = await open();
    const before = vault.openConnections();
    vault.fault(encryptPath, fault);
    const controller = new AbortController();
    const call = thrownBy(() => provider.encrypt(randomBytes(32), context, controller.signal));
    await vault.called(encryptPath);
    controller.abort(new KmsError("DEADLINE_EXCEEDED", "the deadline has passed"));
    expect(await call).toBeKmsError("DEADLINE_EXCEEDED");
    await expect.poll(() => vault.openConnections()).toBeLessThan(before + 1);
    expect(await provider.describe()).toMatchObject({ state: "enabled" });
  });

  it("leaves nothing open after close, and calls after it fail", async () => {
    const provider = await open();
    await Promise.all(Array.from({ length: 30 }, () => provider.generateDataKey(context)));
    expect(vault.openConnections()).toBeGreaterThan(0);
    await provider.close();
    await expect.poll(() => vault.openConnections()).toBe(0);
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "closed");
    await provider.close();
  });

  it("uses connections again", async () => {
    const provider = await open();
    for (let call = 0; call < 20; call += 1) await provider.generateDataKey(context);
    expect(vault.connections()).toBe(1);
  });

  it("fails to open where nothing listens", async () => {
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

  it("open through the registry", async () => {
    const [provider] = await openProvider(vault.settings(), realTime);
    expect(provider.name).toBe("vault");
    await provider.close();
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
