/** How the vault provider comes by a token, keeps it alive and replaces it: exactly as often as needed. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { openVault } from "../../../src/provider/vault/open.ts";
import type { VaultLogin } from "../../../src/provider/vault/settings.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { type FakeVault, startFakeVault } from "../../fakes/vault.ts";
import { bareDenial, failed, invalidToken, policyDenial } from "../../fakes/vault-rules.ts";
import { msFromNow } from "../../support/from-now.ts";
import { thrownBy } from "../../support/matchers.ts";

const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };
const [appRolePath, kubernetesPath] = ["auth/approle/login", "auth/kubernetes/login"];
const [lookup, renewal, revocation] = ["lookup-self", "renew-self", "revoke-self"].map((end) => `auth/token/${end}`);

let directory: string;
let vault: FakeVault;
let opened: Provider[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fluo-kms-"));
  vault = await startFakeVault();
  opened = [];
});
afterEach(async () => {
  for (const provider of opened) await provider.close();
  await vault.close();
  await rm(directory, { recursive: true });
  vi.useRealTimers();
});

async function open(login?: VaultLogin): Promise<Provider> {
  const provider = await openVault(vault.settings(login), realTime);
  opened.push(provider);
  return provider;
}

async function file(name: string, text: string): Promise<string> {
  await writeFile(join(directory, name), text);
  return join(directory, name);
}

function appRole(secretId = "secret"): VaultLogin {
  return { method: "approle", mount: "approle", roleId: "role", secretId, secretIdFile: undefined };
}

const use = (provider: Provider) => provider.encrypt(randomBytes(32), context);
const adviceOf = (error: unknown) => (error as KmsError).advice ?? "";

/** The clocks of both sides stand still but for `pass`. */
function stopClocks(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
}

async function pass(seconds: number): Promise<void> {
  vault.advance(seconds * 1000);
  await vi.advanceTimersByTimeAsync(seconds * 1000);
}

describe("a login by token", () => {
  it("is the token that is given, and it is left as it is", async () => {
    const token = vault.token();
    const provider = await open({ method: "token", token, tokenFile: undefined });
    await use(provider);
    await provider.close();
    expect(new Set(vault.calls.map((call) => call.token))).toEqual(new Set([token]));
    expect(vault.count(revocation!)).toBe(0);
  });

  it("is refused with advice where Vault does not know the token", async () => {
    const error = await thrownBy(() => open({ method: "token", token: "hvs.gone", tokenFile: undefined }));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("vault.token");
  });

  it("needs no right to look at itself", async () => {
    const token = vault.token();
    vault.tokens.get(token)!.selfService = false;
    await use(await open({ method: "token", token, tokenFile: undefined }));
  });

  it("reads its file again when the token is dead", async () => {
    const [first, second] = [vault.token(), vault.token()];
    const tokenFile = await file("token", `${first}\n`);
    const provider = await open({ method: "token", token: undefined, tokenFile });
    await use(provider);
    await writeFile(tokenFile, second);
    await use(provider);
    expect(vault.calls.at(-1)!.token).toBe(first); // alive, so it serves on
    vault.tokens.delete(first);
    await use(provider);
    expect(vault.calls.at(-1)!.token).toBe(second);
  });

  it.each<[string, string]>([
    ["is empty", ""],
    ["has two lines", "a\nb"],
    ["is no ASCII", "hvs.é"],
  ])("is refused by the setting where its file %s", async (_what, text) => {
    const tokenFile = await file("token", text);
    const error = await thrownBy(() => open({ method: "token", token: undefined, tokenFile }));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "vault.token-file");
    expect(vault.calls).toHaveLength(0);
  });

  it("waits for a file that is gone for a while", async () => {
    const token = vault.token();
    const tokenFile = await file("token", token);
    const provider = await open({ method: "token", token: undefined, tokenFile });
    vault.tokens.delete(token);
    await rm(tokenFile);
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_UNAVAILABLE", "ENOENT");
    await file("token", vault.token());
    await use(provider);
  });
});

describe("a login by AppRole", () => {
  it("sends both ids, uses the token, and revokes it at the end", async () => {
    const provider = await open(appRole());
    await use(provider);
    expect(vault.calls[0]).toMatchObject({ path: appRolePath, token: undefined, body: { role_id: "role" } });
    const { token } = vault.calls.at(-1)!;
    expect(vault.tokens.has(token!)).toBe(true);
    await provider.close();
    expect(vault.tokens.has(token!)).toBe(false);
  });

  it("takes the secret id from a file, anew at each login", async () => {
    const secretIdFile = await file("secret-id", "secret\n");
    const login = { method: "approle", mount: "approle", roleId: "role", secretId: undefined, secretIdFile } as const;
    const provider = await open(login);
    vault.logins.get(appRolePath)!.secrets.secret_id = "other";
    vault.tokens.clear();
    await writeFile(secretIdFile, "other");
    await use(provider);
    expect(vault.count(appRolePath)).toBe(2);
  });

  it("is refused with advice, and its ids are in no error", async () => {
    const error = await thrownBy(() => open(appRole("wrong-secret")));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("vault write -f auth/approle/role/ROLE/secret-id");
    expect(inspect(error, { depth: 9 })).not.toContain("wrong-secret");
  });

  it("is given back within a second where the revocation hangs", async () => {
    const provider = await open(appRole());
    vault.fault(revocation!, "hang");
    stopClocks();
    const closed = provider.close();
    await vault.called(revocation!);
    await pass(1);
    await closed;
  });
});

describe("a login by Kubernetes", () => {
  it("sends the role and the service account's token as it is now", async () => {
    const tokenFile = await file("jwt", "e30.e30.sig");
    const provider = await open({ method: "kubernetes", mount: "kubernetes", role: "fluo", tokenFile });
    await use(provider);
    vault.logins.get(kubernetesPath)!.secrets.jwt = "e30.e30.next";
    vault.tokens.clear();
    await writeFile(tokenFile, "e30.e30.next");
    await use(provider);
    expect(vault.calls.filter(({ path }) => path === kubernetesPath).map(({ body }) => body.jwt)).toEqual([
      "e30.e30.sig",
      "e30.e30.next",
    ]);
    await provider.close();
    expect(vault.count(revocation!)).toBe(1);
  });

  it("is refused with advice: the answer is that to a dead token, and it is not tried again", async () => {
    const tokenFile = await file("jwt", "e30.e30.wrong");
    const login = { method: "kubernetes", mount: "kubernetes", role: "fluo", tokenFile } as const;
    const error = await thrownBy(() => open(login));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("vault read auth/kubernetes/role/ROLE");
    expect(vault.count(kubernetesPath)).toBe(1);
  });
});

describe("a namespace", () => {
  it("is in every request, the login too", async () => {
    vault.logins.get(appRolePath)!.policy = "root";
    const provider = await openVault(vault.settings(appRole(), { namespace: "team" }), realTime);
    await use(provider);
    await provider.inspect();
    await provider.close();
    expect(vault.calls.length).toBeGreaterThan(4);
    expect(vault.calls.every(({ namespace }) => namespace === "team")).toBe(true);
  });
});

describe("a token's lease", () => {
  // A renewal is due at 38 s of 60. At 36, the earliest, the 41 that a test lets pass are its time limit too.
  beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));
  afterEach(() => void vi.restoreAllMocks());

  it("is renewed at about two thirds, again and again, without a new login", async () => {
    vault.logins.get(appRolePath)!.ttlSeconds = 60;
    stopClocks();
    const provider = await open(appRole());
    await pass(35);
    expect(vault.count(renewal!)).toBe(0);
    for (const times of [1, 2, 3]) {
      await pass(times === 1 ? 6 : 41);
      await vault.called(renewal!, times);
      await answered();
    }
    await use(provider);
    expect([vault.count(renewal!), vault.count(appRolePath)]).toEqual([3, 1]);
  });

  it("is replaced by a new login before its longest life ends", async () => {
    Object.assign(vault.logins.get(appRolePath)!, { ttlSeconds: 60, maxSeconds: 70 });
    stopClocks();
    const provider = await open(appRole());
    await pass(41);
    await vault.called(appRolePath, 2);
    await answered();
    await pass(35);
    await use(provider);
    expect([vault.count(renewal!), vault.count(lookup!)]).toEqual([1, 0]);
  });

  it("is replaced by a new login where it cannot be renewed", async () => {
    Object.assign(vault.logins.get(appRolePath)!, { ttlSeconds: 60, renewable: false });
    stopClocks();
    await open(appRole());
    await pass(41);
    await vault.called(appRolePath, 2);
    expect(vault.count(renewal!)).toBe(0);
  });

  it("is tried again while Vault is away, and the token serves on", async () => {
    vault.logins.get(appRolePath)!.ttlSeconds = 60;
    vault.fault(renewal!, { status: 503, body: { errors: ["Vault is sealed"] } });
    stopClocks();
    const provider = await open(appRole());
    await pass(41);
    await vault.called(renewal!, 1);
    await answered();
    await use(provider);
    vault.fault(renewal!, undefined);
    await pass(10);
    await vault.called(renewal!, 2);
    expect(vault.count(appRolePath)).toBe(1);
  });

  it("that never ends is not renewed, nor is one that is given and not renewable", async () => {
    stopClocks();
    const endless = vault.token({ ttlSeconds: 0 });
    const fixed = vault.token({ ttlSeconds: 60, renewable: false });
    for (const token of [endless, fixed]) await open({ method: "token", token, tokenFile: undefined });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer behind", async () => {
    stopClocks();
    const provider = await open(appRole());
    expect(vi.getTimerCount()).toBe(1);
    await provider.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the credential", () => {
  const seconds = (credential: ReturnType<NonNullable<Provider["credential"]>>) =>
    Math.round((credential!.until.getTime() - credential!.since.getTime()) / 1000);

  it("is the token, from its login or its last renewal to the end of its lease", async () => {
    vault.logins.get(appRolePath)!.ttlSeconds = 60;
    stopClocks();
    const before = msFromNow(0);
    const provider = await open(appRole());
    const first = provider.credential!()!;
    expect(first.since.getTime()).toBeGreaterThanOrEqual(before);
    expect(seconds(first)).toBe(60);
    await pass(41);
    await vault.called(renewal!, 1);
    await answered();
    const renewed = provider.credential!()!;
    expect(renewed.until.getTime()).toBeGreaterThan(first.until.getTime());
    expect(seconds(renewed)).toBe(60);
  });

  it("is a token that is given, if it ends by itself", async () => {
    const fixed = vault.token({ ttlSeconds: 60, renewable: false });
    const endless = vault.token({ ttlSeconds: 0 });
    const withToken = (token: string) => open({ method: "token", token, tokenFile: undefined });
    expect(seconds((await withToken(fixed)).credential!())).toBe(60);
    expect((await withToken(endless)).credential!()).toBeUndefined();
  });
});

describe("a dead token", () => {
  it.each([
    ["HashiCorp's words", invalidToken],
    ["OpenBao's words", bareDenial],
  ])("is replaced by one login for all who meet it, each sent once more, by %s", async (_whose, deadTokenText) => {
    vault.deadTokenText = deadTokenText;
    const provider = await open(appRole());
    vault.tokens.clear();
    const before = vault.calls.length;
    await Promise.all(Array.from({ length: 20 }, () => use(provider)));
    expect([vault.count(appRolePath), vault.count(lookup!)]).toEqual([2, 1]);
    expect(vault.calls.length - before).toBeLessThanOrEqual(42);
    expect(vault.count("transit/encrypt/fluo")).toBeLessThanOrEqual(40);
  });

  it("is met twice by no call", async () => {
    const provider = await open(appRole());
    vault.fault("transit/encrypt/fluo", failed(403, invalidToken));
    vault.tokens.clear();
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED");
    expect([vault.count("transit/encrypt/fluo"), vault.count(appRolePath)]).toEqual([2, 2]);
  });

  it("that is given stays dead, and says what to do", async () => {
    const token = vault.token();
    const provider = await open({ method: "token", token, tokenFile: undefined });
    vault.tokens.clear();
    const error = await thrownBy(() => use(provider));
    expect(error).toBeKmsError("PROVIDER_DENIED", "refuses the login");
    expect(adviceOf(error)).toContain("vault.token");
    expect(inspect(error, { depth: 9 })).not.toContain(token);
  });

  it("is not what a policy's denial or a lone `permission denied` of a live token is", async () => {
    const provider = await open(appRole());
    for (const text of [policyDenial, bareDenial]) {
      vault.fault("transit/encrypt/fluo", failed(403, text));
      expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "denies access");
    }
    expect([vault.count(appRolePath), vault.count(lookup!)]).toEqual([1, 1]); // the policy's needs no look
    for (const token of vault.tokens.values()) token.selfService = false; // nor is the look's own denial
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "denies access");
    expect([vault.count(appRolePath), vault.count(lookup!)]).toEqual([1, 2]);
  });

  it("whose login is refused is not followed by a storm of logins", async () => {
    const provider = await open(appRole());
    stopClocks();
    vault.tokens.clear();
    vault.logins.get(appRolePath)!.secrets.secret_id = "rotated";
    const denied = async (calls: number) => {
      for (let call = 0; call < calls; call += 1) {
        expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_DENIED", "refuses the login");
      }
    };
    await denied(10);
    expect(vault.count(appRolePath)).toBe(2);
    await pass(1.1);
    await denied(10);
    expect(vault.count(appRolePath)).toBe(3);
    await pass(1.1); // held for two seconds now
    await denied(10);
    expect(vault.count(appRolePath)).toBe(3);
    vault.logins.get(appRolePath)!.secrets.secret_id = "secret";
    await pass(1.1);
    await use(provider);
    expect(vault.count(appRolePath)).toBe(4);
  });

  it("whose login does not come through is unavailable, and the next call logs in", async () => {
    const provider = await open(appRole());
    vault.tokens.clear();
    vault.fault(appRolePath, { status: 503, body: { errors: ["Vault is sealed"] } });
    expect(await thrownBy(() => use(provider))).toBeKmsError("PROVIDER_UNAVAILABLE");
    vault.fault(appRolePath, undefined);
    await use(provider);
  });

  it("holds a caller no longer than it waits, while the login goes on for others", async () => {
    const provider = await open(appRole());
    vault.tokens.clear();
    vault.fault(appRolePath, "hang");
    const controller = new AbortController();
    const hurried = thrownBy(() => provider.encrypt(randomBytes(32), context, controller.signal));
    const patient = thrownBy(() => use(provider));
    await vault.called(appRolePath, 2);
    controller.abort();
    expect(await hurried).toBeKmsError("CANCELLED");
    await provider.close();
    expect(await patient).toBeKmsError("PROVIDER_UNAVAILABLE", "closed");
    expect(vault.count(appRolePath)).toBe(2);
  });

  it("ends with a login that hangs after five seconds", async () => {
    const provider = await open(appRole());
    stopClocks();
    vault.tokens.clear();
    vault.fault(appRolePath, "hang");
    const call = thrownBy(() => use(provider));
    await vault.called(appRolePath, 2);
    await pass(5);
    expect(await call).toBeKmsError("PROVIDER_UNAVAILABLE", "in time");
  });
});

/** Until an answer that is on its way has arrived: another, sent after it, has. */
async function answered(): Promise<void> {
  await (await fetch(`${vault.addr}/v1/sys/health`)).text();
  await new Promise((resolve) => setImmediate(resolve));
}
