import { realTime } from "../../../src/runtime/time.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type KeySet, openKeySet } from "../../../src/auth/token/issuer-keys.ts";
import type { SigningKey } from "../../../src/auth/token/jwks.ts";
import type { KmsError } from "../../../src/errors.ts";
import { msFromNow } from "../../support/from-now.ts";
import { thrownBy } from "../../support/matchers.ts";
import { sharedKey, testKey } from "../../support/signed-tokens.ts";

const old = sharedKey("ES256", "old");
const fresh = sharedKey("EdDSA", "new");
const hour = 3_600_000;

/** An issuer that publishes what the test says, and a clock that the test moves, timers too. */
function issuer(published: unknown = { keys: [old.jwk] }) {
  const world = {
    published,
    loads: 0,
    warnings: [] as string[],
    failures: [] as unknown[],
    signal: undefined as AbortSignal | undefined,
    hold: undefined as Promise<void> | undefined,
  };
  const keys = openKeySet({
    name: "sso",
    async load(signal) {
      world.loads += 1;
      world.signal = signal;
      await world.hold;
      if (world.published instanceof Error) throw world.published;
      return world.published;
    },
    use: "sig",
    time: { ...realTime, monotonicMs: () => msFromNow(0) },
    maxStaleMs: 24 * hour,
    warn: (text) => world.warnings.push(text),
    failed: (error) => world.failures.push(error),
  });
  opened.push(keys);
  return { world, keys };
}

const opened: KeySet[] = [];
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  for (const keys of opened.splice(0)) keys.close();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const down = new Error("down");

async function unavailable(keys: KeySet, kid: string, retryAfterMs: number): Promise<void> {
  const error = (await thrownBy(() => keys.key(kid, "ES256"))) as KmsError;
  expect(error).toBeKmsError("ISSUER_UNAVAILABLE");
  expect(error.message).toBe("the issuer's keys cannot be had now");
  expect(error.inLog).toContain(`the issuer's keys cannot be had now: issuer sso, kid "${kid}"`);
  expect(error.retryAfterMs).toBe(retryAfterMs);
}

async function refused(keys: KeySet, kid: string | undefined, algorithm = "ES256"): Promise<void> {
  const error = await thrownBy(() => keys.key(kid, algorithm));
  expect(error).toBeKmsError("UNAUTHENTICATED");
  expect(error).toHaveProperty("message", "the token is not accepted");
  const named = kid === undefined ? "no kid" : `kid "${kid}"`;
  expect(error).toHaveProperty("inLog", expect.stringContaining(`issuer sso, ${named}: `));
}

describe("the keys of an issuer", () => {
  it("are loaded at the start, and then are there at once", async () => {
    const { keys, world } = issuer();
    expect(world.loads).toBe(1);
    expect(keys.state()).toEqual({ keys: 0, ageMs: undefined, openMs: 0, problem: undefined });
    await pass(0);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    expect(keys.state()).toEqual({ keys: 1, ageMs: 0, openMs: 0, problem: undefined });
    await pass(5_000);
    expect(keys.state().ageMs).toBe(5_000);
    expect(world.loads).toBe(1);
  });

  it("are waited for by a call that comes before them", async () => {
    const { keys, world } = issuer();
    const waiting = [keys.key("old", "ES256"), keys.key(undefined, "ES256")];
    expect(waiting[0]).toBeInstanceOf(Promise);
    expect((await Promise.all(waiting)).map(({ kid }) => kid)).toEqual(["old", "old"]);
    expect(world.loads).toBe(1);
  });

  it("are loaded again every 10 minutes, and no call waits for that", async () => {
    const { keys, world } = issuer();
    await pass(0);
    const gate = Promise.withResolvers<void>();
    world.hold = gate.promise;
    await pass(10 * 60_000 - 1);
    expect(world.loads).toBe(1);
    await pass(1);
    expect(world.loads).toBe(2);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    gate.resolve();
    await pass(10 * 60_000);
    expect(world.loads).toBe(3);
  });

  it("attack 27: lose a key at the latest 10 minutes after the issuer removed it", async () => {
    const { keys, world } = issuer({ keys: [old.jwk, fresh.jwk] });
    await pass(0);
    const { fingerprint } = keys.key("old", "ES256") as SigningKey;
    expect(keys.has(fingerprint)).toBe(true);
    world.published = { keys: [fresh.jwk] };
    await pass(10 * 60_000);
    expect(keys.has(fingerprint)).toBe(false);
    await refused(keys, undefined);
    expect(keys.key("new", "EdDSA")).toMatchObject({ kid: "new" });
    // It is told at once, as the issuer does not sign with it any more; of another id nobody can tell yet.
    await refused(keys, "old");
    await unavailable(keys, "another", 30_000);
    expect(world.loads).toBe(2);
    world.published = { keys: [old.jwk, fresh.jwk] };
    await pass(30_000);
    expect(await keys.key("old", "ES256")).toMatchObject({ kid: "old" });
  });

  it("are loaded again for an id that is not there, and the new key is found", async () => {
    const { keys, world } = issuer();
    await pass(30_000);
    world.published = { keys: [old.jwk, fresh.jwk] };
    expect(await keys.key("new", "EdDSA")).toMatchObject({ kid: "new" });
    expect(world.loads).toBe(2);
  });

  it("attack 28: are loaded once in 30 s for however many ids that are not there", async () => {
    const { keys, world } = issuer();
    await pass(30_000);
    const gate = Promise.withResolvers<void>();
    world.hold = gate.promise;
    const waiting = Array.from({ length: 50 }, (_, n) => refused(keys, `unknown ${n}`));
    gate.resolve();
    await Promise.all(waiting);
    expect(world.loads).toBe(2);
    await pass(1);
    for (let n = 0; n < 200; n += 1) await unavailable(keys, `another ${n}`, 29_999);
    await pass(29_998);
    await unavailable(keys, "another", 1);
    expect(world.loads).toBe(2);
    await pass(1);
    await refused(keys, "another");
    expect(world.loads).toBe(3);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
  });

  it("let at most 100 calls wait for one load", async () => {
    const { keys, world } = issuer();
    await pass(30_000);
    const gate = Promise.withResolvers<void>();
    world.hold = gate.promise;
    const waiting = Array.from({ length: 100 }, () => refused(keys, "unknown"));
    await unavailable(keys, "unknown", 30_000);
    gate.resolve();
    await Promise.all(waiting);
    await pass(30_000);
    await refused(keys, "unknown");
    expect(world.loads).toBe(3);
  });

  it("are not loaded for an id whose key does not count, for another algorithm, or without an id", async () => {
    const { keys, world } = issuer({ keys: [old.jwk, { ...fresh.jwk, use: "enc" }, sharedKey("RS256", "weak").jwk] });
    await pass(30_000);
    await refused(keys, "new", "EdDSA");
    await refused(keys, "old", "RS256");
    await refused(keys, undefined, "EdDSA");
    expect(world.loads).toBe(1);
  });

  it("are refused where several fit and the token names none", async () => {
    const { keys } = issuer({ keys: [old.jwk, testKey("ES256", "second").jwk] });
    await pass(0);
    await refused(keys, undefined);
    expect(keys.key("second", "ES256")).toMatchObject({ kid: "second" });
  });

  it("attack 29: never loaded, they cannot be had, and 100 calls are one try", async () => {
    const { keys, world } = issuer(down);
    await unavailable(keys, "old", 30_000);
    await pass(1_000);
    for (let n = 0; n < 100; n += 1) await unavailable(keys, "old", 29_000);
    expect(world.loads).toBe(1);
    await pass(29_000);
    await unavailable(keys, "old", 30_000);
    expect(world.loads).toBe(2);
    expect(world.failures).toEqual([down, down]);
    const error = (await thrownBy(() => keys.key("old", "ES256"))) as KmsError;
    expect(error.inLog).toBe(`the issuer's keys cannot be had now: issuer sso, kid "old": down`);
    expect(keys.state()).toEqual({ keys: 0, ageMs: undefined, openMs: 30_000, problem: "down" });
    world.published = { keys: [old.jwk] };
    await pass(30_000);
    expect(await keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    expect(keys.state().problem).toBeUndefined();
  });

  it("attack 29: stay for 24 h while the issuer is down, and then cannot be had", async () => {
    const { keys, world } = issuer();
    await pass(0);
    const { fingerprint } = keys.key("old", "ES256") as SigningKey;
    world.published = down;
    await pass(24 * hour);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    expect(keys.has(fingerprint)).toBe(true);
    expect(keys.state()).toEqual({ keys: 1, ageMs: 24 * hour, openMs: 24 * hour, problem: "down" });
    await pass(1);
    expect(keys.has(fingerprint)).toBe(false);
    await unavailable(keys, "old", 29_999);
    await pass(30_000);
    await unavailable(keys, "old", 30_000);
    world.published = { keys: [old.jwk] };
    await pass(30_000);
    expect(await keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    expect(keys.has(fingerprint)).toBe(true);
  });

  it("attack 29: an id that is not there cannot be told while the issuer is down", async () => {
    const { keys, world } = issuer();
    await pass(30_000);
    world.published = down;
    await unavailable(keys, "new", 30_000);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
    await pass(10_000);
    await unavailable(keys, "new", 20_000);
    expect(world.loads).toBe(2);
  });

  it("attack 30: stay as they are where a set is none, is empty or has a kid twice", async () => {
    const { keys, world } = issuer();
    await pass(0);
    for (const set of ["<html>", {}, { keys: [] }, { keys: [fresh.jwk, fresh.jwk] }, { keys: [{ kty: "oct" }] }]) {
      world.published = set;
      await keys.reload();
      expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
      expect(keys.state().problem).toMatch(/^(is|has) /);
    }
    expect(world.failures).toHaveLength(5);
  });

  it("are loaded anew when a file has changed, also while they are being loaded", async () => {
    const { keys, world } = issuer();
    const gate = Promise.withResolvers<void>();
    await pass(0);
    world.hold = gate.promise;
    const first = keys.reload();
    await pass(0);
    expect(world.loads).toBe(2);
    const [second, third] = [keys.reload(), keys.reload()];
    world.hold = undefined;
    gate.resolve();
    await Promise.all([first, second, third]);
    expect(world.loads).toBe(3);
  });

  it("warn at each load of a private key", async () => {
    const { keys, world } = issuer({ keys: [{ ...old.jwk, ...old.privateKey.export({ format: "jwk" }) }] });
    await pass(0);
    await keys.reload();
    expect(world.warnings).toEqual(Array(2).fill("publishes a private or symmetric key"));
  });

  it("may be told by a load that throws before it waits", async () => {
    const load = vi.fn((): Promise<unknown> => {
      throw down;
    });
    const keys = openKeySet({
      name: "sso",
      load,
      use: "sig",
      time: { ...realTime, monotonicMs: () => msFromNow(0) },
      maxStaleMs: hour,
    });
    opened.push(keys);
    await unavailable(keys, "old", 30_000);
    await pass(30_000);
    await unavailable(keys, "old", 30_000);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("are loaded no more once they are closed, and those that are there stay", async () => {
    const { keys, world } = issuer();
    await pass(30_000);
    keys.close();
    expect(world.signal?.aborted).toBe(true);
    await pass(hour);
    await keys.reload();
    await unavailable(keys, "new", 1);
    expect(world.loads).toBe(1);
    expect(keys.key("old", "ES256")).toMatchObject({ kid: "old" });
  });

  it("are no failure where they are closed while they are loaded", async () => {
    const { keys, world } = issuer();
    await pass(0);
    const gate = Promise.withResolvers<void>();
    world.hold = gate.promise;
    const loading = keys.reload();
    await pass(0);
    keys.close();
    gate.reject(down);
    await loading;
    expect(world.failures).toEqual([]);
  });
});
