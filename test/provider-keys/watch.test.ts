/** When the watch looks, what it refuses, and whom it tells; on clocks that the test moves. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { settings } from "../../src/config/known-settings.ts";
import { KmsError } from "../../src/errors.ts";
import { type ProviderWatch, type WatchOptions, watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider, ProviderKeyState } from "../../src/provider/provider.ts";
import { defaultResilience } from "../../src/provider/call-policies.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";
import { thrownBy } from "../support/matchers.ts";

const context = { tenant_id: "acme" };
const enabled: ProviderKeyState = { state: "enabled", detail: "Enabled" };
const disabled: ProviderKeyState = { state: "disabled", detail: "Disabled" };
const unavailable = new KmsError("PROVIDER_UNAVAILABLE", "no answer");
const denied = new KmsError("PROVIDER_DENIED", "access denied", { advice: "Allow kms:DescribeKey." });

let passedMs = 0;
let time: ManualTime;
beforeEach(() => {
  time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
  passedMs = 0;
});
let watch: ProviderWatch | undefined;
afterEach(() => {
  watch?.stop();
});

const advance = (ms: number) => {
  passedMs += ms;
  return time.advance(ms);
};

/** `world` is what the next look and the next call find. */
async function setUp(options: Partial<WatchOptions> = {}) {
  const local = localProvider(randomMasterKey());
  const world = {
    looks: 0,
    calls: 0,
    key: enabled as ProviderKeyState | KmsError | Promise<ProviderKeyState>,
    call: undefined as KmsError | undefined,
  };
  const provider: Provider = {
    ...local,
    async describe() {
      world.looks += 1;
      if (world.key instanceof KmsError) throw world.key;
      return world.key;
    },
    async encrypt(...given) {
      world.calls += 1;
      if (world.call !== undefined) throw world.call;
      return local.encrypt(...given);
    },
  };
  const told: string[] = [];
  watch = await watchProvider({ provider, time, random: () => 0.5, ...options });
  watch.subscribe({
    changed: ({ condition, detail }) => told.push(`${condition}: ${detail}`),
    denied: () => told.push("a call was denied"),
  });
  const encrypt = () => watch!.provider.encrypt(Buffer.from("secret"), context);
  return { watch, world, told, encrypt };
}

describe("looks", () => {
  it.each([
    ["the earliest", 0, 27_000],
    ["the latest", 0.999_999, 33_000],
  ])("come every 30 s, a tenth more or less, so that replicas do not look together: %s", async (_what, random, ms) => {
    const { world } = await setUp({ random: () => random });
    expect(world.looks).toBe(1);
    await advance(ms - 2);
    expect(world.looks).toBe(1);
    await advance(2);
    expect(world.looks).toBe(2);
  });

  it("find a key that was disabled in less than 60 s, at the longest interval that may be set and though a look is lost", async () => {
    const { parse } = settings["kms.provider.check-interval"];
    expect(() => parse("51s")).toThrow();
    const { watch, world } = await setUp({ intervalMs: parse("50s"), random: () => 0.999_999 });
    const { attemptTimeoutMs } = defaultResilience;
    const lost = Promise.withResolvers<ProviderKeyState>();
    world.key = lost.promise;
    await advance(55_000 + attemptTimeoutMs);
    world.key = disabled;
    lost.reject(unavailable);
    await advance(1_000);
    expect(watch.current().condition).toBe("denied");
    expect(passedMs).toBeLessThan(60_000);
  });

  it.each([
    ["refuses its key", disabled],
    ["denies the look", denied],
    ["does not answer", unavailable],
  ])("come every second while the provider %s", async (_what, key) => {
    const { watch, world } = await setUp();
    world.key = key;
    await advance(30_000);
    expect(world.looks).toBe(2);
    await advance(5_000);
    expect(world.looks).toBe(7);
    world.key = enabled;
    await advance(1_000);
    expect(watch.current().condition).toBe("answering");
    await advance(29_000);
    expect(world.looks).toBe(8);
  });

  it("are one at a time, whoever asks", async () => {
    const { watch, world } = await setUp();
    const answer = Promise.withResolvers<ProviderKeyState>();
    world.key = answer.promise;
    const looks = [watch.look(), watch.look()];
    expect(world.looks).toBe(2);
    answer.resolve(disabled);
    expect(new Set(await Promise.all(looks)).size).toBe(1);
  });

  it("end when the watch is stopped, and no timer is left", async () => {
    const { watch, world } = await setUp();
    watch.stop();
    expect(time.timers()).toBe(0);
    await watch.look();
    expect(time.timers()).toBe(0);
    expect(world.looks).toBe(2);
  });

  it("tell how long the provider took, its words, and since when they hold", async () => {
    const dates = [new Date(1), new Date(2)];
    const { watch, world } = await setUp({ time: { ...time, now: () => dates.shift()! } });
    expect(watch.current()).toMatchObject({ condition: "answering", detail: "Enabled", since: new Date(1) });
    world.key = time.sleep(250).then(() => ({ ...disabled, clockSkewMs: 7 }));
    void watch.look();
    await advance(250);
    const seen = { condition: "denied", detail: "Disabled", since: new Date(2), latencyMs: 250, clockSkewMs: 7 };
    expect(watch.current()).toMatchObject(seen);
    world.key = disabled;
    await advance(1_000);
    expect(watch.current()).toMatchObject({ since: new Date(2), latencyMs: 0 });
  });
});

describe("a provider that refuses its key", () => {
  it("is not called, and its reason and remedy are given", async () => {
    const { watch, world, encrypt } = await setUp();
    world.key = denied;
    await watch.look();
    const error = await thrownBy(encrypt);
    expect(error).toBeKmsError("PROVIDER_DENIED", "the provider refuses its key: access denied");
    expect((error as KmsError).advice).toBe("Allow kms:DescribeKey.");
    expect(await thrownBy(() => watch.provider.decrypt(Buffer.alloc(60), context))).toBeKmsError("PROVIDER_DENIED");
    expect(await thrownBy(() => watch.provider.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED");
    expect(world.calls).toBe(0);
  });

  it("is called again once a look finds the key well", async () => {
    const { watch, world, told, encrypt } = await setUp();
    world.key = disabled;
    await watch.look();
    world.key = enabled;
    await advance(1_000);
    await encrypt();
    expect(told).toEqual(["denied: Disabled", "answering: Enabled"]);
  });

  it("stays refused when it then does not answer: that it said no still holds", async () => {
    const { watch, world, told, encrypt } = await setUp();
    world.key = disabled;
    await watch.look();
    world.key = unavailable;
    await advance(10_000);
    expect(watch.current()).toMatchObject({ condition: "denied", detail: "Disabled" });
    expect(await thrownBy(encrypt)).toBeKmsError("PROVIDER_DENIED", "Disabled");
    expect(world.calls).toBe(0);
    expect(told).toEqual(["denied: Disabled"]);
  });
});

it("does not refuse a provider that does not answer: what is cached there may be served", async () => {
  const { watch, world, told, encrypt } = await setUp();
  world.key = unavailable;
  await watch.look();
  await encrypt();
  expect(world.calls).toBe(1);
  expect(told).toEqual(["unavailable: no answer"]);
});

it.each([
  ["a tenant's own", true],
  ["the service's", false],
])("of %s key, failures are the tenant's affair: %s", async (_whose, tenantsOwn) => {
  const { watch, world, encrypt } = await setUp({ tenantsOwn });
  world.call = new KmsError("PROVIDER_UNAVAILABLE", "no answer");
  expect(await thrownBy(encrypt)).toMatchObject({ code: "PROVIDER_UNAVAILABLE", tenantsAffair: tenantsOwn });
  world.call = new KmsError("CIPHERTEXT_REJECTED", "ciphertext rejected");
  expect(await thrownBy(encrypt)).toMatchObject({ code: "CIPHERTEXT_REJECTED", tenantsAffair: false });
  world.key = disabled;
  await watch.look();
  expect(await thrownBy(encrypt)).toMatchObject({ code: "PROVIDER_DENIED", tenantsAffair: tenantsOwn });
});

it("keeps the words of an error that is not ours to itself", async () => {
  const { watch, world } = await setUp();
  world.key = Promise.reject(new Error("secret"));
  expect((await watch.look()).detail).toBe("internal error, see the log");
});

describe("a call that is denied", () => {
  it("has the key looked at before the caller hears of it", async () => {
    const { world, told, encrypt } = await setUp();
    await advance(5_000);
    world.call = denied;
    world.key = disabled;
    expect(await thrownBy(encrypt)).toBe(denied);
    expect(told).toEqual(["denied: Disabled"]);
  });

  it("tells that others may be denied, where the key looks well", async () => {
    const { world, told, encrypt } = await setUp();
    await advance(5_000);
    world.call = denied;
    expect(await thrownBy(encrypt)).toBe(denied);
    expect(told).toEqual(["a call was denied"]);
  });

  it("costs one look a second and one doubt an interval, however many there are", async () => {
    const { world, told, encrypt } = await setUp();
    await advance(5_000);
    world.call = denied;
    for (let tenths = 0; tenths < 100; tenths += 1) {
      await thrownBy(encrypt);
      await advance(100);
    }
    expect(world.looks).toBeGreaterThan(8);
    expect(world.looks).toBeLessThanOrEqual(12);
    expect(told).toEqual(["a call was denied"]);
    await advance(20_000);
    await thrownBy(encrypt);
    expect(told).toEqual(["a call was denied", "a call was denied"]);
  });

  it("costs the others ever less, as long as denials go on, and counts anew after some quiet", async () => {
    const { world, told, encrypt } = await setUp();
    await advance(5_000);
    world.call = denied;
    for (let seconds = 0; seconds < 4 * 3_600; seconds += 10) {
      await thrownBy(encrypt);
      await advance(10_000);
    }
    expect(told.length).toBeLessThanOrEqual(11);
    world.call = undefined;
    await advance(3 * 3_600_000);
    world.call = denied;
    told.splice(0);
    await thrownBy(encrypt);
    await advance(30_000);
    await thrownBy(encrypt);
    expect(told).toHaveLength(2);
  });

  it("is followed by a look of its own where one had begun before", async () => {
    const { watch, world, told, encrypt } = await setUp();
    await advance(5_000);
    const before = Promise.withResolvers<ProviderKeyState>();
    world.key = before.promise;
    void watch.look();
    world.call = denied;
    const call = thrownBy(encrypt);
    world.key = disabled;
    before.resolve(enabled);
    await call;
    expect(told).toEqual(["a call was denied"]);
    await advance(1_000);
    expect(told).toEqual(["a call was denied", "denied: Disabled"]);
  });

  it("is not what else may be wrong", async () => {
    const { world, told, encrypt } = await setUp();
    await advance(5_000);
    world.call = unavailable;
    expect(await thrownBy(encrypt)).toBe(unavailable);
    expect(world.looks).toBe(1);
    expect(told).toEqual([]);
  });
});

it("tells every listener, in the order of their subscription", async () => {
  const { watch, world } = await setUp();
  const order: string[] = [];
  for (const name of ["first", "second"]) watch.subscribe({ changed: () => order.push(name) });
  world.key = disabled;
  await watch.look();
  expect(order).toEqual(["first", "second"]);
});
