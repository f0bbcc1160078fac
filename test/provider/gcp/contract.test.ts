/** The gcp provider by its contract and by what it sends, on a fake of Cloud KMS. What Google refuses: answers.test.ts. */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { providerContextBytes } from "../../../src/crypto/encryption-context.ts";
import { crc32c } from "../../../src/encoding/crc32c.ts";
import { KmsError } from "../../../src/errors.ts";
import { dependable } from "../../../src/provider/failover.ts";
import { openProvider } from "../../../src/provider/registry.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { type Fault, type GcpKmsFake, issue } from "../../fakes/gcp-kms.ts";
import { failed } from "../../fakes/gcp-kms-rules.ts";
import { thrownBy } from "../../support/matchers.ts";
import { providerContract } from "../../support/provider-contract.ts";
import { context, open, openedOnFake, startFake, useMetadataServer } from "../../support/gcp-fixture.ts";

useMetadataServer();

afterEach(() => {
  vi.useRealTimers();
});

async function openTwo() {
  const kms = await startFake();
  const [one, another] = [kms.createKey(), kms.createKey({ id: "another" })];
  return { provider: await open(kms, one), other: await open(kms, another) };
}

providerContract("gcp", openTwo);
providerContract("gcp behind the resilience layer", async () => {
  const { provider, other } = await openTwo();
  return { provider: dependable([provider], { time: realTime }), other: dependable([other], { time: realTime }) };
});
providerContract("gcp with a key in hardware", async () => {
  const kms = await startFake();
  const [one, another] = ["fluo", "another"].map((id) => kms.createKey({ id, protectionLevel: "HSM" }));
  return { provider: await open(kms, one!), other: await open(kms, another!) };
});

const metadataToken = /service-accounts\/default\/token/;

describe("what is sent to Google", () => {
  it("has the context as authenticated data, a checksum of everything, and the token that all calls share", async () => {
    const { kms, key, provider } = await openedOnFake();
    const plaintext = randomBytes(32);
    const wrapped = await provider.encrypt(plaintext, context);
    await provider.decrypt(wrapped, context);
    const aad = Buffer.from(providerContextBytes(context));
    const checked = {
      additionalAuthenticatedData: aad.toString("base64"),
      additionalAuthenticatedDataCrc32c: String(crc32c(aad)),
    };
    const ciphertext = Buffer.from(wrapped.subarray(5));
    const sent = kms.calls.filter(({ method }) => method === "POST");
    expect(sent.map(({ path, body }) => [path, body])).toEqual([
      [
        `/v1/${key.name}:encrypt`,
        { plaintext: plaintext.toString("base64"), plaintextCrc32c: String(crc32c(plaintext)), ...checked },
      ],
      [
        `/v1/${key.name}:decrypt`,
        { ciphertext: ciphertext.toString("base64"), ciphertextCrc32c: String(crc32c(ciphertext)), ...checked },
      ],
    ]);
    expect(kms.count(metadataToken)).toBe(1);
  });

  it("is nothing for lengths that no key has, or for context that could not be told apart", async () => {
    const { kms, provider } = await openedOnFake();
    const calls = kms.calls.length;
    for (const length of [0, 5, 8193]) {
      expect(await thrownBy(() => provider.decrypt(Buffer.alloc(length, 1), context))).toBeKmsError(
        "CIPHERTEXT_REJECTED",
      );
    }
    const lone = { tenant_id: "\ud800" };
    expect(await thrownBy(() => provider.generateDataKey(lone))).toBeKmsError("INVALID_ARGUMENT");
    expect(kms.calls).toHaveLength(calls);
  });

  it("goes over one connection that is kept, and over as many as there are calls at once", async () => {
    const { kms, provider } = await openedOnFake();
    for (let call = 0; call < 5; call += 1) await provider.generateDataKey(context);
    await provider.describe();
    expect(kms.connections()).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => provider.generateDataKey(context)));
    expect(kms.connections()).toBeGreaterThan(1);
    expect(kms.connections()).toBeLessThanOrEqual(20);
    await Promise.all(Array.from({ length: 100 }, () => provider.generateDataKey(context)));
    expect(kms.openConnections()).toBeLessThanOrEqual(32);
    await provider.close();
    await kms.left();
    expect(await thrownBy(() => provider.describe())).toBeKmsError("PROVIDER_UNAVAILABLE", "closed");
  });

  it("goes nowhere else: a redirect is not followed", async () => {
    const { kms, provider } = await openedOnFake();
    const elsewhere = await startFake();
    for (const status of [301, 302, 307, 308]) {
      kms.once(/:encrypt$/, { status, headers: { location: `${elsewhere.url}/v1/x` }, body: "" });
      expect(await thrownBy(() => provider.generateDataKey(context))).toBeKmsError("PROVIDER_UNAVAILABLE", "elsewhere");
    }
    expect(elsewhere.calls).toEqual([]);
  });
});

describe("a wrapped key", () => {
  it("is a byte, a checksum and Cloud KMS's own ciphertext; one that was changed is refused without a call", async () => {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    expect(wrapped[0]).toBe(1);
    expect(Buffer.from(wrapped).readUInt32BE(1)).toBe(crc32c(wrapped.subarray(5)));
    wrapped[wrapped.length - 1]! ^= 1;
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
    expect(kms.count(/:decrypt$/)).toBe(0);
  });

  it("that was changed together with its checksum is refused by Cloud KMS, at every byte", async () => {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    for (let at = 5; at < wrapped.length; at += 1) {
      const forged = Buffer.from(wrapped);
      forged[at]! ^= 0x80;
      forged.writeUInt32BE(crc32c(forged.subarray(5)), 1);
      expect(await thrownBy(() => provider.decrypt(forged, context))).toBeKmsError("CIPHERTEXT_REJECTED");
    }
    expect(kms.count(/:decrypt$/)).toBe(wrapped.length - 5);
  });

  it("that a probe tampered with is refused by Cloud KMS itself", async () => {
    const { kms, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    expect(await thrownBy(() => provider.decrypt(provider.tampered(wrapped), context))).toBeKmsError(
      "CIPHERTEXT_REJECTED",
    );
    expect(kms.count(/:decrypt$/)).toBe(1);
  });

  it("opens after the key was rotated, as long as its version is enabled", async () => {
    const { kms, key, provider } = await openedOnFake();
    const { wrapped, plaintext } = await provider.generateDataKey(context);
    kms.rotate(key);
    expect((await provider.describe()).detail).toBe("ENABLED (version 2, SOFTWARE)");
    const next = await provider.encrypt(plaintext, context);
    for (const each of [wrapped, next]) {
      expect(Buffer.compare(await provider.decrypt(each, context), plaintext)).toBe(0);
    }
    key.versions.get(1)!.state = "DISABLED";
    expect((await provider.describe()).state).toBe("enabled");
    const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "disabled");
    expect(error.advice).toContain("gcloud kms keys versions enable 1 --key=fluo");
    expect(await provider.decrypt(next, context)).toHaveLength(32);
  });
});

describe("a call", () => {
  const places: [string, RegExp, Fault][] = [
    ["while Cloud KMS does not answer", /:encrypt$/, "hang"],
    ["in an answer that stalls", /:encrypt$/, "stall"],
    ["while its token is fetched", metadataToken, "hang"],
    ["in a token that stalls", metadataToken, "stall"],
  ];

  /** All of its tokens are dead, so that the next call needs one. */
  async function withoutToken(kms: GcpKmsFake): Promise<void> {
    kms.tokens.clear();
  }

  it.each(places)("ends with its signal %s", async (_where, path, fault) => {
    const { kms, provider } = await openedOnFake();
    if (path === metadataToken) await withoutToken(kms);
    const seen = kms.count(path);
    kms.fault(path, fault);
    const caller = new AbortController();
    const ended = thrownBy(() => provider.generateDataKey(context, caller.signal));
    await kms.called(path, seen + 1);
    caller.abort(new KmsError("DEADLINE_EXCEEDED", "the deadline has passed"));
    expect(await ended).toBeKmsError("DEADLINE_EXCEEDED");
    kms.fault(path, undefined);
  });

  it.each(places)("ends by the time that a call has in all %s", async (_where, path, fault) => {
    const { kms, provider } = await openedOnFake();
    if (path === metadataToken) await withoutToken(kms);
    const seen = kms.count(path);
    kms.fault(path, fault);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const times = { attemptTimeoutMs: 60, totalTimeoutMs: 150, firstPauseMs: 1 };
    const resilient = dependable([provider], { time: realTime, ...times });
    const ended = thrownBy(() => resilient.generateDataKey(context));
    await kms.called(path, seen + 1);
    await vi.advanceTimersByTimeAsync(times.totalTimeoutMs);
    expect(await ended).toBeKmsError("PROVIDER_UNAVAILABLE");
    kms.fault(path, undefined);
  });

  it("that Google answers with UNAVAILABLE ends at once, after one request", async () => {
    const { kms, provider } = await openedOnFake();
    kms.fault(/:decrypt$/, failed(503, "UNAVAILABLE", "The service is currently unavailable."));
    const { wrapped } = await provider.generateDataKey(context);
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_UNAVAILABLE", "cannot");
    expect(kms.count(/:decrypt$/)).toBe(1);
  });
});

describe("a token that Cloud KMS does not take", () => {
  it("is replaced by one new one, for all calls that met it, and each is sent once more", async () => {
    const { kms, provider } = await openedOnFake();
    kms.tokens.clear();
    const calls = Array.from({ length: 10 }, () => provider.generateDataKey(context));
    expect(await Promise.all(calls)).toHaveLength(10);
    expect(kms.count(metadataToken)).toBe(2);
    expect(kms.count(/:encrypt$/)).toBe(20);
  });

  it("is not replaced more than once a call, which is denied then", async () => {
    const { kms, provider } = await openedOnFake();
    kms.fault(/:encrypt$/, failed(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."));
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "does not accept this service's credentials");
    expect(error.advice).toContain("gcloud iam service-accounts keys list");
    expect(kms.count(/:encrypt$/)).toBe(2);
    expect(kms.count(metadataToken)).toBe(2);
  });

  it("is in no error, whatever comes back", async () => {
    const { kms, provider } = await openedOnFake();
    const token = issue(kms);
    kms.fault(/:encrypt$/, failed(400, "INVALID_ARGUMENT", `Bad header: authorization: Bearer ${token}`));
    const error = (await thrownBy(() => provider.generateDataKey(context))) as KmsError;
    expect(String(error.cause)).toContain("Bad header: authorization: Bearer (hidden)");
  });
});

it("opens through the registry", async () => {
  const kms = await startFake();
  const [provider] = await openProvider(kms.settings(kms.createKey()), realTime);
  expect(provider).toMatchObject({
    name: "gcp",
    keyId: "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo",
  });
  await provider.close();
  await kms.left();
});
