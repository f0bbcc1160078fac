/** What takes trust from a provider key, and what alone gives it back. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { type KeyTrust, createTrust } from "../../src/provider-keys/trust.ts";
import { type Lie, ProviderLie } from "../../src/provider/distrust.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";

let time: ManualTime;
beforeEach(() => {
  time = manualTime({ start: new Date(1_000) });
});
let trust: KeyTrust;
afterEach(() => {
  trust.stop();
});

const advance = (ms: number) => time.advance(ms);

/** `world.finds` is what the next probe finds: nothing wrong, a lie, or that nothing is shown. */
function setUp() {
  const world = {
    probes: 0,
    finds: undefined as Lie | Error | undefined,
    gate: undefined as Promise<void> | undefined,
  };
  const told: (Lie | undefined)[] = [];
  trust = createTrust({
    async probe() {
      world.probes += 1;
      const { finds, gate } = world;
      await gate;
      if (finds instanceof Error) throw finds;
      if (finds !== undefined) throw new ProviderLie(finds);
    },
    changed: () => told.push(trust.caught()?.lie.lie),
    time: { ...time, now: () => new Date(1_000) },
    retryMs: 10_000,
  });
  return { world, told };
}

it("is lost by a probe that is lied to, and given back by one that passes", async () => {
  const { world, told } = setUp();
  expect(await trust.probe()).toBe("passed");
  expect(told).toEqual([]);
  world.finds = "zero-key";
  expect(await trust.probe()).toBe("caught");
  expect(trust.caught()).toMatchObject({ since: new Date(1_000), trustedUntil: new Date(1_000) });
  world.finds = undefined;
  expect(await trust.probe()).toBe("passed");
  expect(told).toEqual(["zero-key", undefined]);
});

it("is neither lost nor given back by a probe that shows nothing", async () => {
  const { world, told } = setUp();
  world.finds = new Error("away");
  expect(await trust.probe()).toBe(world.finds);
  expect(trust.caught()).toBeUndefined();
  trust.accuse(new ProviderLie("short-key"));
  expect(await trust.probe()).toBe(world.finds);
  await advance(60_000);
  expect(told).toEqual(["short-key"]);
});

it("is not given back by a probe that began before the lie was told", async () => {
  const { world, told } = setUp();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  const probe = trust.probe();
  trust.accuse(new ProviderLie("other-key"));
  gate.resolve();
  expect(await probe).toBe("caught");
  expect(told).toEqual(["other-key"]);
  world.gate = undefined;
  await advance(10_000);
  expect(told).toEqual(["other-key", undefined]);
});

it("is asked for every 10 s once it is lost, however often the lie is told", async () => {
  const { world } = setUp();
  world.finds = "repeated-key";
  for (let n = 0; n < 50; n += 1) trust.accuse(new ProviderLie("repeated-key"));
  await advance(9_999);
  expect(world.probes).toBe(0);
  await advance(1);
  expect(world.probes).toBe(1);
  await advance(50_000);
  expect(world.probes).toBe(6);
});

it("tells of another lie, and keeps since when and until when", async () => {
  const { told } = setUp();
  trust.accuse(new ProviderLie("zero-key"));
  trust.accuse(new ProviderLie("zero-key"));
  trust.accuse(new ProviderLie("other-bytes"));
  expect(told).toEqual(["zero-key", "other-bytes"]);
  expect(trust.caught()!.trustedUntil).toBeUndefined();
});

it("is probed soon after a doubt, and at most every 10 s however many there are", async () => {
  const { world } = setUp();
  for (let n = 0; n < 20; n += 1) trust.doubt();
  await advance(1);
  expect(world.probes).toBe(1);
  for (let second = 0; second < 20; second += 1) {
    trust.doubt();
    await advance(1_000);
  }
  expect(world.probes).toBe(3);
});

it("joins who asks while a probe is under way, and asks again for a doubt that came meanwhile", async () => {
  const { world } = setUp();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  const probes = [trust.probe(), trust.probe()];
  trust.doubt();
  gate.resolve();
  expect(await Promise.all(probes)).toEqual(["passed", "passed"]);
  expect(world.probes).toBe(1);
  world.gate = undefined;
  await advance(10_000);
  expect(world.probes).toBe(2);
});

it("leaves no timer when it is stopped, and begins none", () => {
  setUp();
  trust.accuse(new ProviderLie("zero-key"));
  trust.stop();
  trust.doubt();
  trust.accuse(new ProviderLie("other-key"));
  expect(time.timers()).toBe(0);
});
