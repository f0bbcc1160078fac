/** The rules of stale values, on times alone. What a cache makes of them is in cache.test.ts. */
import { describe, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import {
  afterFailure,
  doubted,
  isRepeated,
  isStale,
  lifetime,
  loadReason,
  prolonged,
  reloading,
  retriedLater,
} from "../../src/keys/stale-policy.ts";

const limits = { ttlMs: 100_000, maxStaleMs: 60_000 };
const born = (random = 0) => lifetime(limits, 0, random);

describe("the life of a value", () => {
  it("has its refresh at 80 to 95 % of the time to live, before its end", () => {
    expect(born(0)).toMatchObject({ refreshAt: 80_000, expiresAt: 100_000, staleUntil: 160_000 });
    expect(born(1).refreshAt).toBe(95_000);
  });

  it("says why a load is asked for", () => {
    expect(loadReason(undefined, 0)).toBe("first");
    const life = born();
    doubted(life);
    expect([10_000, 80_000, 99_999, 100_000].map((at) => loadReason(life, at))).toEqual([
      "doubted",
      "refreshed",
      "refreshed",
      "expired",
    ]);
  });

  it("asks for one reload, and still ends", () => {
    const life = born();
    reloading(life);
    expect(life.refreshAt).toBe(life.expiresAt);
  });

  it("is prolonged by half a minute, and its reload tried again after 5 s", () => {
    const life = born();
    prolonged(life, 100_000);
    expect(life).toMatchObject({ expiresAt: 130_000, refreshAt: 105_000 });
    expect([99_999, 100_000, 130_000].map((at) => isStale(life, at))).toEqual([false, true, false]);
  });

  it("is never prolonged beyond the time for which stale values are served, nor made shorter", () => {
    const life = born();
    prolonged(life, 159_000);
    expect(life).toMatchObject({ expiresAt: 160_000, refreshAt: 160_000 });
    const early = born();
    prolonged(early, 10_000);
    expect(early.expiresAt).toBe(100_000);
  });

  it("is reloaded no later than it ends, after a failure", () => {
    const life = born();
    retriedLater(life, 98_000);
    expect(life.refreshAt).toBe(100_000);
  });
});

describe("a failed reload", () => {
  const outcome = (code: KmsErrorCode, at: number) => afterFailure(born(), new KmsError(code, ""), at);

  it.each(["PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE"] as const)("with %s is outlived, but not for ever", (code) => {
    expect(outcome(code, 159_999)).toBe("served");
    expect(outcome(code, 160_000)).toBe("failed");
  });

  it.each(["PROVIDER_DENIED", "KEY_UNUSABLE", "DATA_LOSS", "NOT_FOUND", "CIPHERTEXT_REJECTED"] as const)(
    "with %s evicts the value at once",
    (code) => {
      expect(outcome(code, 1)).toBe("evicted");
    },
  );

  it("of any other kind is its caller's, and evicts nothing", () => {
    expect(outcome("OVERLOADED", 1)).toBe("failed");
    expect(afterFailure(born(), new Error("a bug"), 1)).toBe("failed");
  });

  it("is repeated without asking only if it was a denial", () => {
    expect(isRepeated(new KmsError("PROVIDER_DENIED", ""))).toBe(true);
    expect(isRepeated(new KmsError("PROVIDER_UNAVAILABLE", ""))).toBe(false);
    expect(isRepeated(new Error("a bug"))).toBe(false);
  });
});
