/** The aws provider by its contract and by what it sends, on the real SDK and fakes of AWS KMS. What AWS refuses: answers.test.ts. */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { dependable } from "../../../src/provider/failover.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { thrownBy } from "../../support/matchers.ts";
import { providerContract } from "../../support/provider-contract.ts";
import { context, openedOnFake, openOn, startFake, twoRegions, useCredentials } from "../../support/aws-fixture.ts";

useCredentials();

const attemptTimeoutMs = 100;
/** So that an attempt is late when a test says so, and no other. */
const stopTheClock = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
afterEach(() => {
  vi.useRealTimers();
});

providerContract("aws", async () => {
  const kms = await startFake();
  const [[provider], [other]] = [await openOn([kms], kms.createKey().id), await openOn([kms], kms.createKey().id)];
  return { provider, other };
});

providerContract("aws behind the resilience layer", async () => {
  const kms = await startFake();
  const open = async () => dependable(await openOn([kms], kms.createKey().id), { time: realTime });
  return { provider: await open(), other: await open() };
});

providerContract("aws in two regions", async () => {
  const { ireland, frankfurt, key } = await twoRegions();
  const another = ireland.createKey({ multiRegion: true });
  frankfurt.createKey({ replicaOf: another });
  const open = async (id: string) => dependable(await openOn([ireland, frankfurt], id), { time: realTime });
  return { provider: await open(key.id), other: await open(another.id) };
});

describe("what is sent to AWS", () => {
  it("names the key by its ARN and gives the context, in every call", async () => {
    const { kms, key, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    await provider.decrypt(await provider.encrypt(randomBytes(32), context), context);
    await provider.decrypt(wrapped, context);
    const calls = kms.log.filter(({ operation }) => operation !== "DescribeKey");
    expect(calls.map(({ operation }) => operation)).toEqual(["GenerateDataKey", "Encrypt", "Decrypt", "Decrypt"]);
    for (const call of calls) expect(call).toMatchObject({ keyId: key.arn, context, outcome: "200" });
    expect(kms.decryptsWithoutKeyId).toBe(0);
  });

  it("is nothing for lengths that AWS would refuse, and for context that it would not tell apart", async () => {
    const { kms, provider } = await openedOnFake();
    for (const length of [0, 6145]) {
      expect(await thrownBy(() => provider.decrypt(randomBytes(length), context))).toBeKmsError("CIPHERTEXT_REJECTED");
    }
    const lone = { tenant_id: "\ud800" };
    expect(await thrownBy(() => provider.generateDataKey(lone))).toBeKmsError("INVALID_ARGUMENT");
    expect(await thrownBy(() => provider.encrypt(randomBytes(4097), context))).toBeKmsError("INVALID_ARGUMENT");
    expect(kms.calls).toEqual({ DescribeKey: 1 });
  });

  it("goes over one connection that is kept, and over as many as there are calls at once", async () => {
    const { advance, sleep } = manualTime();
    const { kms, provider } = await openedOnFake({ time: { now: realTime.now, sleep } });
    for (let n = 0; n < 5; n += 1) await provider.generateDataKey(context);
    expect(kms.connections).toBe(1);
    await kms.fault({ latencyMs: 1 });
    const calls = Array.from({ length: 20 }, () => provider.generateDataKey(context));
    await kms.until(() => kms.calls.GenerateDataKey === 25);
    expect(kms.connections).toBe(20);
    await advance(1);
    await Promise.all(calls);
  });

  it("leaves secrets in no memory but their own", async () => {
    const { provider } = await openedOnFake();
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    const opened = await provider.decrypt(wrapped, context);
    for (const bytes of [plaintext, opened, wrapped]) expect(bytes.buffer.byteLength).toBe(bytes.length);
  });

  it("carries the clock's skew back, by answers of either kind", async () => {
    const { kms, key, provider } = await openedOnFake();
    vi.useFakeTimers({ toFake: ["Date"] });
    await kms.fault({ dateOffsetMs: -600_000 });
    expect((await provider.describe()).clockSkewMs).toBeGreaterThan(598_000);
    await kms.fault({ dateOffsetMs: 600_000 });
    key.state = "Disabled";
    await thrownBy(() => provider.generateDataKey(context));
    await kms.fault({ dateOffsetMs: 300_000 });
    const { clockSkewMs } = await provider.describe();
    expect(clockSkewMs).toBeGreaterThan(-301_500);
    expect(clockSkewMs).toBeLessThan(-298_000);
  });
});

describe("a key in two regions", () => {
  it("is one key: each place opens what the other wrapped, and nothing under another context", async () => {
    const { ireland, frankfurt, key } = await twoRegions();
    const [first, second] = await openOn([ireland, frankfurt], key.arn, key.id);
    expect(first.keyId).toBe(`arn:aws:kms:*:111122223333:key/${key.id}`);
    expect(second?.keyId).toBe(first.keyId);
    expect([first.region, second?.region]).toEqual(["eu-west-1", "eu-central-1"]);
    for (const [from, to] of [
      [first, second!],
      [second!, first],
    ] as const) {
      const { plaintext, wrapped } = await from.generateDataKey(context);
      expect(Buffer.compare(await to.decrypt(wrapped, context), plaintext)).toBe(0);
      expect(await thrownBy(() => to.decrypt(wrapped, {}))).toBeKmsError("CIPHERTEXT_REJECTED");
    }
  });

  it("has the same key id where one region alone is configured", async () => {
    const { frankfurt, key } = await twoRegions();
    const [alone] = await openOn([frankfurt], key.id);
    expect(alone.keyId).toBe(`arn:aws:kms:*:111122223333:key/${key.id}`);
  });

  it.each(["refused", "resetting", "hanging", "503"] as const)(
    "is used in the second while the first is %s",
    async (mode) => {
      const { ireland, frankfurt, key } = await twoRegions();
      const places = await openOn([ireland, frankfurt], key.id);
      stopTheClock();
      const provider = dependable(places, { time: realTime, attemptTimeoutMs });
      const { plaintext, wrapped } = await provider.generateDataKey(context);
      expect(provider.region).toBe("eu-west-1");
      await ireland.fault({ mode });
      const decrypted = provider.decrypt(wrapped, context);
      if (mode === "hanging") {
        await ireland.until(() => ireland.inFlight === 1);
        vi.advanceTimersByTime(attemptTimeoutMs);
      }
      expect(Buffer.compare(await decrypted, plaintext)).toBe(0);
      expect(provider.region).toBe("eu-central-1");
      await ireland.heal();
      await provider.generateDataKey(context);
      expect(provider.region).toBe("eu-west-1");
      await provider.close();
    },
  );

  it("is not used in the second when the first says no", async () => {
    const { ireland, frankfurt, key } = await twoRegions();
    const places = await openOn([ireland, frankfurt], key.id);
    stopTheClock();
    const provider = dependable(places, { time: realTime });
    const { wrapped } = await provider.generateDataKey(context);
    expect(await thrownBy(() => provider.decrypt(wrapped, {}))).toBeKmsError("CIPHERTEXT_REJECTED");
    key.state = "Disabled";
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED");
    key.state = "Enabled";
    ireland.deny(({ operation }) => operation === "Decrypt");
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toBeKmsError("PROVIDER_DENIED");
    expect(frankfurt.calls).toEqual({});
    await provider.close();
  });
});

describe("an alias", () => {
  it("is resolved at start; pointed elsewhere, it changes nothing until the next start", async () => {
    const kms = await startFake();
    const [key, newer] = [kms.createKey(), kms.createKey()];
    kms.alias("alias/fluo", key);
    const [provider] = await openOn([kms], "alias/fluo");
    expect(provider.keyId).toBe(key.arn);
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    kms.alias("alias/fluo", newer);
    expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
    expect((await provider.describe()).state).toBe("enabled");
    expect(kms.log.slice(1).every(({ keyId }) => keyId === key.arn)).toBe(true);

    const [next] = await openOn([kms], "alias/fluo");
    expect(next.keyId).toBe(newer.arn);
    expect(await thrownBy(() => next.decrypt(wrapped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it("may be an ARN, and stands for a multi-Region key in a region that was down at start", async () => {
    const { ireland, frankfurt, key, replica } = await twoRegions();
    ireland.alias("alias/fluo", key);
    frankfurt.alias("alias/other-name", replica);
    await ireland.fault({ mode: "refused" });
    const aliases = ["arn:aws:kms:eu-west-1:111122223333:alias/fluo", "alias/other-name"];
    const [first, second] = await openOn([ireland, frankfurt], ...aliases);
    const { plaintext, wrapped } = await second!.generateDataKey(context);
    await ireland.heal();
    expect(Buffer.compare(await first.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(ireland.log.map(({ keyId }) => keyId)).toEqual([key.arn]);
  });
});
