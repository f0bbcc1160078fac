/** What the SDK does by itself that this service must not: each shown on the SDK first, where that can be, and then not to happen here. */
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { parseWrapped } from "../../../src/provider/azure/wrapped.ts";
import { azureConnection } from "../../../src/provider/azure/connection.ts";
import { azureTokens } from "../../../src/provider/azure/tokens.ts";
import { dependable } from "../../../src/provider/failover.ts";
import { realTime } from "../../../src/runtime/time.ts";
import type { AzureKeyVaultFake } from "../../fakes/azure-key-vault.ts";
import { thrownBy } from "../../support/matchers.ts";
import { canServe, context, openedOnFake, openOn } from "../../support/azure-fixture.ts";
import { fromNow } from "../../support/from-now.ts";

/** The SDK's clients as they come, but for tokens and certificates. */
async function sdkOn(vault: AzureKeyVaultFake) {
  const connection = await azureConnection(vault.caFile);
  onTestFinished(() => connection.close());
  const tokens = azureTokens({ connection, time: realTime, instanceDiscovery: false });
  const { httpClient } = connection.options();
  const options = { httpClient, disableChallengeResourceVerification: true };
  return { keys: new KeyClient(vault.url, tokens, options as object), tokens, options: options as object };
}

describe.skipIf(!canServe)("the SDK", () => {
  it("wraps by RSA-OAEP itself, with a key that is disabled: here every wrap is a call, which the vault refuses", async () => {
    const { vault, key, provider } = await openedOnFake();
    key.current.enabled = false;
    const { keys, tokens, options } = await sdkOn(vault);
    const cryptography = new CryptographyClient(await keys.getKey("fluo"), tokens, options);
    expect((await cryptography.wrapKey("RSA-OAEP", new Uint8Array(32))).result).toHaveLength(256);
    expect(vault.calls.wrapkey).toBeUndefined();

    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "is disabled");
    expect(error.advice).toContain(`az keyvault key set-attributes --id ${provider.keyId} --enabled true`);
    expect(vault.calls.wrapkey).toBe(1);
    key.current.enabled = true;
    for (let n = 0; n < 3; n += 1) await provider.generateDataKey(context);
    expect(vault.calls.wrapkey).toBe(4);
  });

  it("may meet a vault that wraps with a disabled key: the look at it shows what that is worth, and then it is not asked", async () => {
    const { vault, key, provider } = await openedOnFake();
    await vault.fault({ wrapsWhileDisabled: true });
    key.current.enabled = false;
    const { wrapped } = await provider.generateDataKey(context);
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED", "is disabled");
    expect(await provider.describe()).toMatchObject({
      state: "disabled",
      detail: `disabled, version ${key.current.id}`,
    });
    expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED", "is disabled");
    expect(vault.calls.wrapkey).toBe(1);
    key.current.enabled = true;
    await provider.generateDataKey(context);
  });

  it("tells a stale version after a rotation, where it was not told which: here the wrapped key names the one that wrapped it", async () => {
    const { vault, key, provider } = await openedOnFake();
    const { keys, tokens, options } = await sdkOn(vault);
    const cryptography = new CryptographyClient(`${vault.url}/keys/fluo`, tokens, options);
    const first = (await cryptography.wrapKey("RSA-OAEP-256", new Uint8Array(32))).keyID;
    const second = key.rotate().id;
    expect((await cryptography.wrapKey("RSA-OAEP-256", new Uint8Array(32))).keyID).toBe(first); // and it wrapped under the second
    expect((await keys.getKey("fluo")).id).toContain(second);

    await provider.describe();
    const { wrapped } = await provider.generateDataKey(context);
    expect(parseWrapped(wrapped).version).toBe(second);
    expect(vault.log.at(-1)!.path).toBe(`/keys/fluo/${second}/wrapkey`);
  });

  it("refuses by itself to unwrap with a version that has expired, which the vault allows: here it opens, and wraps no more", async () => {
    const { vault, key, provider } = await openedOnFake();
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    key.current.expires = fromNow(-60_000);
    const { tokens, options } = await sdkOn(vault);
    const cryptography = new CryptographyClient(`${vault.url}/keys/fluo/${key.current.id}`, tokens, options);
    const { wrappedKey } = parseWrapped(wrapped);
    expect(String(await thrownBy(() => cryptography.unwrapKey("RSA-OAEP-256", wrappedKey)))).toContain("expired");

    expect(await provider.decrypt(wrapped, context)).toEqual(plaintext);
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "has expired");
    expect(error.advice).toContain(`az keyvault key rotate --id ${provider.keyId}`);
    const { state, detail } = await provider.describe();
    expect([state, detail]).toEqual(["enabled", expect.stringContaining("expired on")]);
    key.rotate();
    await provider.generateDataKey(context);
  });

  it("retries by itself, which hides the answer and takes as long as Retry-After says: here a call is a request", async () => {
    const { vault, provider } = await openedOnFake();
    for (const answer of [
      { code: "Throttled", status: 429, headers: { "Retry-After": "60" } },
      { code: "ServiceUnavailable", status: 503, headers: { "Retry-After": "60" } },
      { code: "InternalServerError", status: 500 },
      "reset",
    ] as const) {
      vault.once(answer, "wrapkey");
      const before = vault.calls.wrapkey ?? 0;
      expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_UNAVAILABLE");
      expect(vault.calls.wrapkey).toBe(before + 1);
    }
  });

  it("leaves throttling to the resilience layer, whose pauses are short", async () => {
    const { vault } = await openedOnFake();
    const observed: unknown[] = [];
    const provider = dependable([await openOn(vault, "fluo")], {
      time: realTime,
      firstPauseMs: 1,
      maxPauseMs: 1,
      observe: ({ outcome, attempts }) => observed.push([outcome, attempts]),
    });
    const throttled = { code: "Throttled", status: 429, headers: { "Retry-After": "60" } };
    for (let n = 0; n < 2; n += 1) vault.once(throttled, "wrapkey");
    await provider.generateDataKey(context);
    expect(observed).toEqual([["OK", 3]]);
    await provider.close();
  });
});

describe.skipIf(!canServe)("a token", () => {
  it("is replaced in time, and one that is good goes on where that fails", async () => {
    const { vault, provider } = await openedOnFake();
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    expect(vault.calls.token).toBe(1);
    vi.setSystemTime(fromNow(3_400_000)); // in its last five minutes
    vault.once({ body: '{"error":"temporarily_unavailable"}', status: 400 }, "token");
    await provider.describe();
    await vault.until(() => vault.calls.token === 2);
    await provider.describe(); // not at once again
    expect(vault.calls.token).toBe(2);
    vi.setSystemTime(fromNow(11_000));
    await provider.describe();
    await vault.until(() => vault.calls.token === 3);
    vi.setSystemTime(fromNow(3_000_000)); // past the first one's end
    await provider.describe();
    expect(vault.calls.token).toBe(3);
  });

  it("that is used up, with an authority that does not answer, is a provider that is away; and it comes back", async () => {
    const { vault, provider } = await openedOnFake();
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    vi.setSystemTime(fromNow(3_700_000));
    vault.once({ body: "<html>", status: 503, contentType: "text/html" }, "token");
    const error = await thrownBy(() => provider.describe());
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "authority cannot answer now");
    await provider.describe();
  });

  it("that the vault took and takes no longer is asked for anew, by the next call", async () => {
    const { vault, provider } = await openedOnFake();
    vault.revokeTokens();
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "does not accept this service's credentials");
    expect(error.advice).toContain("AZURE_TENANT_ID");
    await provider.generateDataKey(context);
    expect(vault.calls.token).toBe(2);
  });

  it("that the vault takes no longer is no refusal to any of the calls that had it", async () => {
    const { vault, provider } = await openedOnFake();
    vault.revokeTokens();
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => provider.generateDataKey(context)));
    const failures = all.flatMap((each) => (each.status === "rejected" ? [each.reason] : [])); // a late one has the next token
    expect(failures.length).toBeGreaterThan(0);
    for (const error of failures) expect(error).toBeKmsError("PROVIDER_UNAVAILABLE");
    await Promise.all(Array.from({ length: 8 }, () => provider.generateDataKey(context)));
    expect(vault.calls.token).toBe(2);
  });

  it("that the vault never took is a refusal", async () => {
    const { vault, provider } = await openedOnFake();
    await vault.fault({ takesNoToken: true });
    await thrownBy(() => provider.generateDataKey(context)); // the one that was good
    const error = await thrownBy(() => provider.generateDataKey(context));
    expect(error).toBeKmsError("PROVIDER_DENIED", "does not accept this service's credentials");
    await vault.heal();
    await provider.generateDataKey(context);
  });

  it("is asked for anew with the claims that the vault misses in it", async () => {
    const { vault, provider } = await openedOnFake();
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    const claims = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString("base64");
    const challenge = `Bearer realm="", error="insufficient_claims", claims="${claims}"`;
    vault.once({ body: "{}", status: 401, headers: { "WWW-Authenticate": challenge } }, "unwrapkey");
    expect(await provider.decrypt(wrapped, context)).toEqual(plaintext);
    expect(vault.calls.token).toBe(2);
    await provider.describe();
    expect(vault.calls.token).toBe(2);
  });

  it("is waited for by all at once, and one that gives up takes none of the others along", async () => {
    const { vault, provider } = await openedOnFake();
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    vi.setSystemTime(fromNow(3_700_000));
    await vault.fault({ latencyMs: 30 });
    const gone = new AbortController();
    const first = thrownBy(() => provider.describe(gone.signal));
    const others = Promise.all(Array.from({ length: 5 }, () => provider.describe()));
    await vault.until(() => vault.calls.token === 2);
    gone.abort();
    expect(await first).toBeKmsError("CANCELLED");
    expect(await others).toHaveLength(5);
    expect(vault.calls.token).toBe(2);
  });

  it("gathers an answer of any length, and one longer than a string can be ends the process: here it is cut off, and none comes packed", async () => {
    const { vault, provider } = await openedOnFake();
    const long = { change: (answer: object) => ({ ...answer, tags: { long: "x".repeat(2 << 20) } }) };
    const { keys } = await sdkOn(vault);
    vault.once(long, "get");
    expect(String(await thrownBy(() => keys.getKey("fluo")))).toContain("longer than 131072 bytes");
    vault.once(long, "get");
    const error = await thrownBy(() => provider.describe());
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot be reached");
    expect(String((error as KmsError).cause)).toContain("longer than 131072 bytes");
    await vault.until(() => vault.inFlight === 0);
    expect(vault.log.filter(({ packing }) => packing !== undefined)).toEqual([]);
    expect(await provider.describe()).toMatchObject({ state: "enabled" });
  });
});
