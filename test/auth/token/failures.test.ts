/** The limit of failed tokens, on the world's own clock: 10 a second and network, and 100 at once. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { KmsErrorCode } from "../../../src/errors.ts";
import { type Json, sharedKey, tokenBy } from "../../support/signed-tokens.ts";
import { startMs, type World, worldOf } from "../../support/token-world.ts";

const [key, other] = [sharedKey("ES256", "k"), sharedKey("ES256", "k2")];
const second = startMs / 1_000;
const entry = { name: "sso", issuer: "https://sso.example.org", audience: "fluo-kms" };
const claims = { iss: entry.issuer, aud: "fluo-kms", sub: "ingest", iat: second, exp: second + 600 };
/** Tokens by their numbers: no signature of the algorithm is twice the same. */
const once = (make: (n: number) => string) => {
  const made = new Map<number, string>();
  return (n: number) => {
    const token = made.get(n) ?? make(n);
    made.set(n, token);
    return token;
  };
};
const good = once((n) => tokenBy(key, { ...claims, sub: `ingest-${n}` }));
/** Signed by another key than the one that it names. */
const forged = once((n) => tokenBy(other, { ...claims, sub: `forged-${n}` }, { kid: "k" }));
const unknownKid = (n: number) => tokenBy(key, claims, { kid: `none-${n}` });
const unknownIssuer = (n: number) => tokenBy(key, { ...claims, iss: `https://${n}.example.org` });

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
  vi.restoreAllMocks();
});

async function worldWith(failuresPerSecond = 10, published: Json = { sso: { keys: [key.jwk] } }) {
  const world = worldOf([entry], published, failuresPerSecond);
  worlds.push(world);
  await Promise.all(world.issuers.all.map(({ keys }) => keys.reload()));
  return world;
}

/** How often each code was the answer, to so many tokens one after the other. */
async function outcomes(world: World, count: number, tokenOf: (n: number) => string, address?: string) {
  const codes: Partial<Record<KmsErrorCode | "OK", number>> = {};
  for (let n = 0; n < count; n += 1) {
    const code = await world.identify(tokenOf(n), address).then(
      () => "OK" as const,
      ({ code }: { code: KmsErrorCode }) => code,
    );
    codes[code] = (codes[code] ?? 0) + 1;
  }
  return codes;
}

describe("a network that fails too often", () => {
  it.each([
    ["of a bad signature", forged],
    ["of an unknown issuer", unknownIssuer],
    ["that are no JWT", (n: number) => `${n}`],
    ["that have expired", (n: number) => tokenBy(key, { ...claims, exp: second - 60, jti: `${n}` })],
  ])("by tokens %s has no more of them looked at", async (_what, tokenOf) => {
    const world = await worldWith();
    const verify = vi.spyOn(crypto.subtle, "verify");
    const { RATE_LIMITED, ...others } = await outcomes(world, 300, tokenOf);
    expect(RATE_LIMITED).toBe(200);
    expect(Object.values(others)).toEqual([100]);
    expect(verify.mock.calls.length).toBeLessThanOrEqual(100);
  });

  it("by key ids that are not there has the keys loaded once, and then no more", async () => {
    const world = await worldWith();
    world.pass(30_000); // since the load at the start
    const before = world.loads.sso!;
    const codes = await outcomes(world, 1_000, unknownKid);
    expect(codes).toEqual({ UNAUTHENTICATED: 1, ISSUER_UNAVAILABLE: 99, RATE_LIMITED: 900 });
    expect(world.loads.sso! - before).toBe(1);
  });

  it("is told when the next try fits, which is soon, and fails 10 times a second then", async () => {
    const world = await worldWith();
    await outcomes(world, 1_000, forged);
    await expect(world.identify(forged(1_000))).rejects.toMatchObject({
      code: "RATE_LIMITED",
      message: "too many calls: wait",
      retryAfterMs: 100,
    });
    world.pass(1_000);
    expect(await outcomes(world, 100, (n) => forged(2_000 + n))).toEqual({ UNAUTHENTICATED: 10, RATE_LIMITED: 90 });
  });

  it("has a good token verified only when a try fits, and those that were verified lately are good", async () => {
    const world = await worldWith();
    await world.identify(good(1));
    await outcomes(world, 200, forged);
    expect(await outcomes(world, 200, () => good(1))).toEqual({ OK: 200 });
    expect(await outcomes(world, 1, () => good(2))).toEqual({ RATE_LIMITED: 1 });
    world.pass(100);
    expect(await outcomes(world, 1, () => good(2))).toEqual({ OK: 1 });
  });

  it("takes nothing from another, and is one by all addresses of a /64", async () => {
    const world = await worldWith();
    await outcomes(world, 200, forged, "2001:db8::1");
    expect(await outcomes(world, 1, () => good(1), "2001:db8::ffff:2")).toEqual({ RATE_LIMITED: 1 });
    expect(await outcomes(world, 1, () => good(1), "2001:db8:0:1::1")).toEqual({ OK: 1 });
    await outcomes(world, 200, forged, "192.0.2.9");
    expect(await outcomes(world, 1, () => good(2), "::ffff:192.0.2.9")).toEqual({ RATE_LIMITED: 1 });
  });

  it("is looked at again when a token's turn to be verified comes", async () => {
    const world = await worldWith();
    // All at once: none has failed when they come.
    const all = await Promise.allSettled(Array.from({ length: 400 }, (_, n) => world.identify(forged(n))));
    const codes = all.map((each) => (each as PromiseRejectedResult).reason.code as KmsErrorCode);
    const refused = codes.filter((code) => code === "UNAUTHENTICATED").length;
    // Those that are verified at once when the last unit goes, 16, may be too many.
    expect(refused).toBeGreaterThanOrEqual(100);
    expect(refused).toBeLessThanOrEqual(116);
    expect(codes.filter((code) => code === "RATE_LIMITED")).toHaveLength(400 - refused);
  });
});

describe("nothing is counted", () => {
  it("of tokens that are good, however many", async () => {
    const world = await worldWith();
    expect(await outcomes(world, 300, good)).toEqual({ OK: 300 });
  });

  it("of an issuer that is away", async () => {
    const world = await worldWith(10, { sso: new Error("away") });
    expect(await outcomes(world, 300, good)).toEqual({ ISSUER_UNAVAILABLE: 300 });
  });

  it("of a token that was refused a moment ago", async () => {
    const world = await worldWith();
    expect(await outcomes(world, 300, () => forged(0))).toEqual({ UNAUTHENTICATED: 300 });
    expect(await outcomes(world, 1, () => good(1))).toEqual({ OK: 1 });
  });

  it("with a limit of 0", async () => {
    const world = await worldWith(0);
    expect(await outcomes(world, 300, forged)).toEqual({ UNAUTHENTICATED: 300 });
  });
});
