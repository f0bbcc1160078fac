/**
 * A provider that begins to lie while its key is in use, in each way, over the real SDK; the keyring and its watch are those of the service.
 * What begins a probe here is in the service the clock (probing.test.ts) or a call.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { UsableDataKey } from "../../src/keys/usable-key.ts";
import { createKeyring } from "../../src/keys/keyring.ts";
import { samplesIn } from "../../src/keys/rewrapping.ts";
import { startProviders } from "../../src/provider-keys/start.ts";
import type { ProviderKeySettings } from "../../src/provider-keys/settings.ts";
import { type Lie, lies } from "../../src/provider/distrust.ts";
import type { ProviderSettings } from "../../src/provider/registry.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import type { AwsKmsFaults } from "../fakes/aws-kms-faults.ts";
import { caches } from "../support/whole-keyring.ts";
import { useCredentials } from "../support/aws-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { type VirtualTime, virtualTime } from "../support/virtual-time.ts";

useCredentials();

const reprobeMs = 10_000;
let time: VirtualTime;
let fake: AwsKmsFake;
let key: FakeKey;
let toClose: (() => unknown)[] = [];
beforeEach(async () => {
  time = virtualTime();
  fake = await startAwsKms({ region: "eu-west-1", time });
  key = fake.createKey();
  toClose = [() => fake.close()];
});
afterEach(async () => {
  for (const close of toClose.reverse()) await close();
});

const aws = (of: FakeKey): ProviderSettings => ({
  name: "aws",
  places: [{ region: fake.region, endpoint: fake.url, masterKeyId: of.arn }],
  profile: undefined,
});
const local: ProviderSettings = { name: "local" };

/** A replica, which probes by itself only where time goes on. */
async function startReplica(
  settings: Partial<ProviderKeySettings> = {},
  { store = memoryStore(time) }: { store?: Store } = {},
) {
  const lines: Record<string, unknown>[] = [];
  const counted = new Map<string, number>();
  const write = (line: Record<string, unknown>, msg: string) => void lines.push({ ...line, msg });
  const providers = await startProviders(
    {
      provider: aws(key),
      otherProvider: undefined,
      tenantProviderKeys: { providerKeys: new Map(), tenants: new Map() },
      storeKeyPin: undefined,
      providerCheckMs: 30_000,
      warnings: [],
      ...settings,
    },
    {
      instruments: {
        providerCall: { record() {} },
        providerRequests: { add() {} },
        providerLies: {
          add: (count: number, { lie }: { lie: Lie }) => void counted.set(lie, (counted.get(lie) ?? 0) + count),
        },
      } as never,
      log: { error: write, warn: write, info: write, debug() {} } as never,
      time,
      alarm: { changed() {}, suspect() {} },
    },
  );
  toClose.push(() => providers.close());
  const keyring = createKeyring({ store, providerKeys: providers.keys, time, ...caches });
  toClose.push(() => keyring.close());
  providers.subscribe(keyring);
  return { providers, keyring, store, lines, counted, watch: providers.watches[0]! };
}

/** How each lie shows itself: in what a caller needs, or in a probe alone. */
const seenBy: Record<Lie, "a new key" | "two new keys" | "a load" | "a probe"> = {
  "wrong-context": "a probe",
  "tampered-ciphertext": "a probe",
  "short-key": "a new key",
  "zero-key": "a new key",
  "repeated-key": "two new keys",
  "other-key": "a load",
  "other-bytes": "a new key",
  "plaintext-inside": "a new key",
};

describe.each(lies)("a provider that begins to lie by %s", (lie) => {
  type Replica = Awaited<ReturnType<typeof startReplica>>;

  async function useUntilSeen({ keyring, watch }: Replica): Promise<void> {
    if (seenBy[lie] === "a probe") return void (await watch.probe());
    if (seenBy[lie] === "a load") {
      keyring.invalidate("acme", (await keyring.activeDataKey("acme")).keyId);
      return void (await thrownBy(() => keyring.activeDataKey("acme")));
    }
    if (seenBy[lie] === "two new keys") await keyring.activeDataKey("first");
    await thrownBy(() => keyring.activeDataKey("newcomer"));
  }

  it("is used no more at once, and named: in its condition, the log and the metric", async () => {
    const replica = await startReplica();
    const { keyring, watch, lines, counted } = replica;
    await keyring.activeDataKey("acme");
    await keyring.activeSigningKey("acme");
    await fake.fault({ lie });
    expect(await keyring.activeDataKey("acme")).toBeDefined();
    await useUntilSeen(replica);

    expect(watch.current()).toMatchObject({
      condition: "denied",
      lie,
      detail: expect.stringMatching(/^not to be trusted: it /),
    });
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: "provider aws is denied",
        lie,
        advice: expect.stringMatching(/KMS_TROUBLESHOOTING.* Here a probe last passed at 20\d\d-/),
      }),
    );
    expect([...counted].filter(([, count]) => count > 0)).toEqual([[lie, 1]]);

    const { data, signing } = keyring.stats();
    expect([data.size, signing.size]).toEqual([0, 0]);
    const asked = Object.values(fake.calls).reduce((sum, count) => sum + count, 0);
    for (const use of [
      () => keyring.activeDataKey("acme"),
      () => keyring.activeSigningKey("acme"),
      () => keyring.activeDataKey("another"),
    ]) {
      expect(await thrownBy(use)).toBeKmsError("PROVIDER_DENIED", "the provider is not to be trusted: it ");
    }
    expect(Object.values(fake.calls).reduce((sum, count) => sum + count, 0)).toBe(asked);
  });

  it("is believed again only by a probe that passes, and not because it describes its key as well", async () => {
    const replica = await startReplica();
    const { keyring, watch, lines } = replica;
    await keyring.activeDataKey("acme");
    await fake.fault({ lie });
    await useUntilSeen(replica);
    expect((await watch.look()).condition).toBe("denied");
    expect(await watch.probe()).toBe("caught");
    expect((await watch.look()).condition).toBe("denied");
    await fake.heal();
    expect((await watch.look()).condition).toBe("denied");
    expect(await watch.probe()).toBe("passed");
    expect(watch.current()).toMatchObject({ condition: "answering", detail: "Enabled" });
    expect(lines.at(-1)).toMatchObject({ msg: "provider aws is answering" });
    await keyring.activeDataKey("acme");
  });

  it("is found by a start, which opens no store under it", async () => {
    await fake.fault({ lie });
    const { watch, providers } = await startReplica();
    expect(watch.current()).toMatchObject({ condition: "denied", lie });
    expect(await thrownBy(() => providers.keys.current.encrypt(Buffer.alloc(32, 1), {}))).toBeKmsError(
      "PROVIDER_DENIED",
      "not to be trusted",
    );
  });
});

it("probes a provider that was caught again by itself, and goes on when that passes", async () => {
  const { keyring, watch } = await startReplica();
  await fake.fault({ lie: "zero-key" });
  await thrownBy(() => keyring.activeDataKey("acme"));
  const before = fake.calls.GenerateDataKey!;
  await time.advance(reprobeMs - 1);
  expect(fake.calls.GenerateDataKey).toBe(before);
  await time.advance(1 + reprobeMs);
  expect(fake.calls.GenerateDataKey).toBe(before + 4);
  expect(watch.current().condition).toBe("denied");
  await fake.heal();
  await time.advance(reprobeMs);
  expect(watch.current().condition).toBe("answering");
  await keyring.activeDataKey("another");
});

it("is probed as no tenant, with ids that tell it in the provider's log", async () => {
  const { keyring, watch } = await startReplica();
  await keyring.activeDataKey("acme");
  const before = fake.log.length;
  expect(await watch.probe()).toBe("passed");
  const probes = fake.log.slice(before);
  expect(probes.map(({ operation }) => operation).sort()).toEqual([
    ...["Decrypt", "Decrypt", "Decrypt", "Decrypt"],
    "Encrypt",
    ...["GenerateDataKey", "GenerateDataKey"],
  ]);
  for (const { context } of probes) {
    expect(context).toEqual({
      tenant_id: "fluo-kms-probe",
      purpose: "data",
      key_id: expect.stringMatching(/^fluo-kms-probe-[0-9a-f]{32}$/),
    });
  }
  expect(probes.filter(({ outcome }) => outcome === "InvalidCiphertextException")).toHaveLength(2);
});

it("does not give out an answer of a provider that was caught while the call was under way", async () => {
  const { keyring, watch, providers } = await startReplica();
  await keyring.activeDataKey("acme");
  await fake.fault({ latencyMs: 200 });
  time.hanging.add("provider");
  const slow = thrownBy(() => providers.keys.current.encrypt(Buffer.alloc(32, 1), { tenant_id: "acme" }));
  await fake.until(() => fake.inFlight === 1);
  await fake.fault({ latencyMs: 0, lie: "zero-key" });
  await thrownBy(() => providers.keys.current.generateDataKey({ tenant_id: "acme" }));
  expect(watch.current().condition).toBe("denied");
  expect(await time.until(slow)).toBeKmsError("PROVIDER_DENIED", "not to be trusted");
});

describe("a provider that is merely unwell is never accused", () => {
  const troubles: Record<string, AwsKmsFaults> = {
    "is slow": { latencyMs: 30 },
    "throttles half of the calls": { throttled: 0.5 },
    "throttles every call": { throttled: 1 },
    "answers with 500": { mode: "500" },
    "answers with a page and 503": { mode: "503" },
    "resets connections": { mode: "resetting" },
    "is not there": { mode: "refused" },
  };

  it.each(Object.entries(troubles))("where it %s", async (_what, trouble) => {
    const { keyring, watch, counted, lines, providers } = await startReplica();
    await keyring.activeDataKey("acme");
    await fake.fault(trouble);
    if ("latencyMs" in trouble) time.hanging.add("provider"); // its answers take time
    for (let n = 0; n < 3; n += 1) expect(await time.until(watch.probe())).not.toBe("caught");
    expect(watch.current().condition).not.toBe("denied");
    expect(keyring.stats().data.size).toBe(1);
    await fake.heal();
    await time.advance(2_000);
    expect(providers.breakers()[0]!.state).toBe("closed");
    await keyring.activeDataKey("newcomer");
    expect([...counted.values()].every((count) => count === 0)).toBe(true);
    expect(lines.filter(({ lie }) => lie !== undefined)).toEqual([]);
  });

  it.each([
    ["what it must refuse, with an error of its own", { error: "KMSInternalException", status: 500 }],
    ["with a denial", { error: "AccessDeniedException", message: "no" }],
    ["with nothing readable", { body: "{}" }],
  ] as const)("where it answers %s", async (_what, answer) => {
    const { watch, counted } = await startReplica();
    // Enough for each try of each call: the probe makes four decrypts.
    for (let n = 0; n < 16; n += 1) fake.once(answer, "Decrypt");
    expect(await time.until(watch.probe())).toBeInstanceOf(Error);
    expect(watch.current().condition).toBe("answering");
    expect([...counted.values()].every((count) => count === 0)).toBe(true);
  });
});

describe("a tenant's own provider key", () => {
  const settings = () => ({
    provider: local,
    tenantProviderKeys: { providerKeys: new Map([["own", aws(key)]]), tenants: new Map([["acme", "own"]]) },
  });

  it("that lies is refused for its tenants alone, and its probes are of one of them", async () => {
    const { keyring, watch, providers } = await startReplica(settings());
    const own = () => providers.tenantProviderKeys.keyOf("acme")!;
    for (const tenantId of ["acme", "other"]) await keyring.activeDataKey(tenantId);
    await fake.fault({ lie: "wrong-context" });
    expect(await own().open!.watch.probe()).toBe("caught");
    expect(own().condition()).toMatchObject({
      condition: "denied",
      detail: expect.stringContaining("not to be trusted"),
    });
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("PROVIDER_DENIED", "not to be trusted");
    await keyring.activeDataKey("other");
    expect(watch.current().condition).toBe("answering");
    const probes = fake.log.filter(({ context }) => context.key_id?.startsWith("fluo-kms-probe"));
    expect(new Set(probes.map(({ context }) => context.tenant_id))).toEqual(new Set(["acme"]));
  });
});

describe("a provider key that only opens", () => {
  /** A service whose keys are under the key at AWS, which is the other one by now. */
  async function startOpener() {
    const before = await startReplica();
    await before.keyring.activeDataKey("acme");
    before.keyring.close();
    fake.deny(({ operation }) => operation === "GenerateDataKey" || operation === "Encrypt");
    const replica = await startReplica({ provider: local, otherProvider: aws(key) }, { store: before.store });
    return { ...replica, other: replica.providers.watches[1]! };
  }

  it("is probed with what it wrapped, as it may wrap no more", async () => {
    const { store, providers, other } = await startOpener();
    expect(await other.probe()).toBeInstanceOf(Error); // before the store is known
    await providers.probeOpeners(samplesIn(store, providers.keys));
    expect(await other.probe()).toBe("passed");
    expect(fake.log.filter(({ outcome }) => outcome === "AccessDeniedException")).toEqual([]);
  });

  it.each(["wrong-context", "tampered-ciphertext", "other-key"] as const)(
    "is used no more after the lie %s, until such a probe passes",
    async (lie) => {
      const { store, providers, other, keyring } = await startOpener();
      await keyring.activeDataKey("acme");
      await fake.fault({ lie });
      await providers.probeOpeners(samplesIn(store, providers.keys));
      expect(other.current()).toMatchObject({ condition: "denied", lie });
      expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("PROVIDER_DENIED", "not to be trusted");
      await keyring.activeDataKey("newcomer");
      await fake.heal();
      expect(await other.probe()).toBe("passed");
    },
  );
});

it("has a key probed soon that opened a stored key to other bytes, and names that", async () => {
  const before = await startReplica();
  const { keyId } = (await before.keyring.activeDataKey("acme")) as UsableDataKey;
  const { store } = before;
  const { keyring, watch } = await startReplica({}, { store });
  await fake.fault({ lie: "other-bytes" });
  expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("DATA_LOSS");
  expect(watch.current().condition).toBe("answering");
  await time.advance(reprobeMs);
  expect(watch.current()).toMatchObject({ condition: "denied", lie: "other-bytes" });
});
