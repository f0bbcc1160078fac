/** One provider over the places that serve its key: which is called, which is not, and which is said to be in use. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { dependable } from "../../src/provider/failover.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { cancelled } from "../../src/runtime/deadline.ts";
import type { ProviderCall, ResilienceOptions } from "../../src/provider/resilience.ts";
import { realTime } from "../../src/runtime/time.ts";
import { thrownBy } from "../support/matchers.ts";
import { providerContract } from "../support/provider-contract.ts";

const context = { tenant_id: "acme" };
const masterKey = randomMasterKey();
const local = localProvider(masterKey);

afterEach(() => void vi.useRealTimers());

providerContract("local in two places", async () => {
  const [key, other] = [randomMasterKey(), randomMasterKey()];
  return {
    provider: dependable([localProvider(key), localProvider(key)], { time: realTime }),
    other: dependable([localProvider(other), localProvider(other)], { time: realTime }),
  };
});

/** A place whose answer the test sets: an error, or none at all. */
function place(region: string) {
  const world = { trouble: undefined as KmsErrorCode | "silence" | undefined, calls: 0, closed: false };
  async function answer<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    world.calls += 1;
    if (world.trouble === "silence") {
      return new Promise((_, reject) => signal!.addEventListener("abort", () => reject(cancelled(signal!))));
    }
    if (world.trouble !== undefined) throw new KmsError(world.trouble, `${region} says so`);
    return call();
  }
  const provider: Provider = {
    ...local,
    region,
    generateDataKey: (given, signal) => answer(() => local.generateDataKey(given), signal),
    encrypt: (plaintext, given, signal) => answer(() => local.encrypt(plaintext, given), signal),
    decrypt: (wrapped, given, signal) => answer(() => local.decrypt(wrapped, given), signal),
    describe: (signal) => answer(() => local.describe(), signal),
    inspect: (signal) => answer(() => local.inspect(), signal),
    async close() {
      world.closed = true;
    },
  };
  return { world, provider };
}

function twoPlaces(options: Partial<ResilienceOptions> = {}) {
  const [first, second] = [place("us-east-1"), place("eu-west-1")];
  const provider = dependable([first.provider, second.provider], {
    time: realTime,
    firstPauseMs: 1,
    maxPauseMs: 1,
    ...options,
  });
  const encrypt = (signal?: AbortSignal) => provider.encrypt(Buffer.from("secret"), context, signal);
  return { provider, encrypt, first: first.world, second: second.world };
}

describe("inspect", () => {
  it("reports on the place that answers, and says what is wrong with the others", async () => {
    const { provider, first, second } = twoPlaces();
    expect(await provider.inspect()).toMatchObject({ state: "enabled", advice: [] });
    second.trouble = "PROVIDER_DENIED";
    expect((await provider.inspect()).advice).toEqual(["In eu-west-1: eu-west-1 says so."]);
    first.trouble = "PROVIDER_UNAVAILABLE";
    second.trouble = undefined;
    expect((await provider.inspect()).advice).toEqual(["In us-east-1: us-east-1 says so."]);
    expect(provider.region).toBe("eu-west-1");
  });

  it("fails where the first place that answers says no", async () => {
    const { provider, first } = twoPlaces();
    first.trouble = "PROVIDER_DENIED";
    expect(await thrownBy(() => provider.inspect())).toBeKmsError("PROVIDER_DENIED", "us-east-1 says so");
  });
});

it("calls the first place while it answers, and no other", async () => {
  const { provider, encrypt, first, second } = twoPlaces();
  await encrypt();
  expect([first.calls, second.calls]).toEqual([1, 0]);
  expect(provider.region).toBe("us-east-1");
});

it.each<keyof Provider>(["generateDataKey", "encrypt", "decrypt", "describe", "inspect"])(
  "gives %s to the next place where the first is unavailable, at once and without a second attempt",
  async (operation) => {
    const { provider, first, second } = twoPlaces();
    first.trouble = "PROVIDER_UNAVAILABLE";
    const wrapped = await local.encrypt(Buffer.from("secret"), context);
    const calls: Record<string, () => Promise<unknown>> = {
      generateDataKey: () => provider.generateDataKey(context),
      encrypt: () => provider.encrypt(Buffer.from("secret"), context),
      decrypt: () => provider.decrypt(wrapped, context),
      describe: () => provider.describe(),
      inspect: () => provider.inspect(),
    };
    await calls[operation]!();
    expect([first.calls, second.calls]).toEqual([1, 1]);
    expect(provider.region).toBe("eu-west-1");
  },
);

it("opens in one place what was wrapped in another", async () => {
  const { provider, encrypt, first } = twoPlaces();
  const wrapped = await encrypt();
  first.trouble = "PROVIDER_UNAVAILABLE";
  expect(Buffer.from(await provider.decrypt(wrapped, context)).toString()).toBe("secret");
});

it("says what the last place said where none is available", async () => {
  const { encrypt, first, second } = twoPlaces({ maxRetries: 0 });
  first.trouble = second.trouble = "PROVIDER_UNAVAILABLE";
  expect(await thrownBy(encrypt)).toBeKmsError("PROVIDER_UNAVAILABLE", "eu-west-1 says so");
});

it.each<KmsErrorCode>(["PROVIDER_DENIED", "CIPHERTEXT_REJECTED", "INVALID_ARGUMENT"])(
  "takes %s for an answer, and asks no other place",
  async (code) => {
    const { encrypt, first, second } = twoPlaces();
    first.trouble = code;
    expect(await thrownBy(encrypt)).toBeKmsError(code, "us-east-1 says so");
    expect(second.calls).toBe(0);
  },
);

it("asks no other place for a caller that went away", async () => {
  const { encrypt, first, second } = twoPlaces();
  const caller = new AbortController();
  first.trouble = "silence";
  const call = thrownBy(() => encrypt(caller.signal));
  caller.abort();
  expect(await call).toBeKmsError("CANCELLED");
  expect(await thrownBy(() => encrypt(caller.signal))).toBeKmsError("CANCELLED");
  expect([first.calls, second.calls]).toEqual([1, 0]);
});

it("waits a second for a place that has another behind it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const { encrypt, first, second } = twoPlaces();
  first.trouble = "silence";
  const call = encrypt();
  await vi.advanceTimersByTimeAsync(999);
  expect(second.calls).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  await call;
  expect([first.calls, second.calls]).toEqual([1, 1]);
});

it("gives the last place all its attempts", async () => {
  const { encrypt, first, second } = twoPlaces();
  first.trouble = second.trouble = "PROVIDER_UNAVAILABLE";
  await thrownBy(encrypt);
  expect([first.calls, second.calls]).toEqual([1, 4]);
});

describe("a place that has failed often enough", () => {
  it("is not called any more but by its probe, and is used again once that succeeds", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { provider, encrypt, first } = twoPlaces({ breakAfter: 3, probeMs: 1_000 });
    first.trouble = "PROVIDER_UNAVAILABLE";
    for (let n = 0; n < 10; n += 1) await encrypt();
    expect(first.calls).toBe(3);
    expect(provider.breakers()).toEqual([
      { name: "local/us-east-1", state: "open" },
      { name: "local/eu-west-1", state: "closed" },
    ]);
    expect(provider.region).toBe("eu-west-1");
    first.trouble = undefined;
    await vi.advanceTimersByTimeAsync(1_200);
    await encrypt();
    expect(provider.region).toBe("us-east-1");
    expect(provider.breakers().map(({ state }) => state)).toEqual(["closed", "closed"]);
  });
});

it("tells of each call in which place it was", async () => {
  const calls: ProviderCall[] = [];
  const { encrypt, first } = twoPlaces({ observe: (call) => calls.push(call) });
  first.trouble = "PROVIDER_UNAVAILABLE";
  await encrypt();
  expect(calls.map(({ region, outcome }) => `${region} ${outcome}`)).toEqual([
    "us-east-1 PROVIDER_UNAVAILABLE",
    "eu-west-1 OK",
  ]);
});

it("wraps for anyone where its places do, behind every layer", async () => {
  for (const wrapsForAnyone of [true, false]) {
    const places = [place("us-east-1"), place("eu-west-1")].map(({ provider }) => ({ ...provider, wrapsForAnyone }));
    const [first, second] = places as [Provider, Provider];
    const options = { time: realTime };
    for (const layered of [dependable([first, second], options), dependable([first], options)]) {
      expect(layered.wrapsForAnyone).toBe(wrapsForAnyone);
      const watch = await watchProvider({ provider: layered, time: realTime });
      expect(watch.provider.wrapsForAnyone).toBe(wrapsForAnyone);
      watch.stop();
    }
  }
});

it("tells of the credential at the place in use, behind every layer", async () => {
  const credentialOf = (day: number) => ({ since: new Date(2026, 0, day), until: new Date(2026, 1, day) });
  const [first, second] = [place("us-east-1"), place("eu-west-1")];
  const provider = dependable(
    [
      { ...first.provider, credential: () => credentialOf(1) },
      { ...second.provider, credential: () => credentialOf(2) },
    ],
    { time: realTime },
  );
  const watch = await watchProvider({ provider, time: realTime });
  expect(watch.provider.credential!()).toEqual(credentialOf(1));
  first.world.trouble = "PROVIDER_UNAVAILABLE";
  await provider.describe();
  expect(watch.provider.credential!()).toEqual(credentialOf(2));
  watch.stop();
  expect(dependable([place("us-east-1").provider], { time: realTime }).credential!()).toBeUndefined();
});

it("has the name and key of all, and closes all", async () => {
  const { provider, first, second } = twoPlaces();
  expect(provider).toMatchObject({ name: "local", keyId: local.keyId });
  await provider.close();
  expect([first.closed, second.closed]).toEqual([true, true]);
});

it("is the one place itself where there is no other, with all its attempts", async () => {
  const { world, provider } = place("us-east-1");
  world.trouble = "PROVIDER_UNAVAILABLE";
  const only = dependable([provider], { time: realTime, firstPauseMs: 1, maxPauseMs: 1 });
  await thrownBy(() => only.encrypt(Buffer.from("secret"), context));
  expect(world.calls).toBe(4);
});
