import { afterEach, describe, expect, it, vi } from "vitest";
import type { TokenIdentity } from "../../../src/auth/token/cache.ts";
import type { KmsErrorCode } from "../../../src/errors.ts";
import { type Json, sharedKey, testKey, tokenBy } from "../../support/signed-tokens.ts";
import { startMs, type World, worldOf } from "../../support/token-world.ts";

const key = sharedKey("ES256", "k");
const second = startMs / 1_000;
const entry = { name: "sso", issuer: "https://sso.example.org", audience: "fluo-kms" };
const claims = { iss: entry.issuer, aud: "fluo-kms", sub: "ingest", iat: second, exp: second + 600 };
const withClaims = (changed: Json): Json => ({ ...claims, ...changed });
const token = tokenBy(key, claims);

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
  vi.restoreAllMocks();
});

/** With the keys loaded. */
async function worldWith(issuers: readonly Json[] = [entry], published: Json = { sso: { keys: [key.jwk] } }) {
  const world = worldOf(issuers, published);
  worlds.push(world);
  await Promise.all(world.issuers.all.map(({ keys }) => keys.reload()));
  return world;
}

/** How many signatures were verified since. */
function verifications(): () => number {
  const verify = vi.spyOn(crypto.subtle, "verify");
  return () => verify.mock.calls.length;
}

async function refused(identified: Promise<TokenIdentity>, code: KmsErrorCode = "UNAUTHENTICATED"): Promise<void> {
  await expect(identified).rejects.toBeKmsError(code);
}

describe("a token that was seen before", () => {
  it("is remembered for 5 minutes, and then verified again", async () => {
    const world = await worldWith();
    const verified = verifications();
    const first = await world.identify(token);
    expect(first).toMatchObject({
      identity: { kind: "jwt", issuer: "sso", subject: "ingest" },
      untilMs: startMs + 630_000,
    });
    world.pass(299_999);
    expect(await world.identify(token)).toBe(first);
    expect(verified()).toBe(1);
    world.pass(1);
    expect(await world.identify(token)).not.toBe(first);
    expect(verified()).toBe(2);
  });

  it("is answered at once", async () => {
    const world = await worldWith();
    const found = await world.identify(token);
    expect(world.tokens.identify(token, "x")).toBe(found);
  });

  it("attack 26: is refused once it has expired, and does not stand any more", async () => {
    const world = await worldWith();
    world.pass(400_000);
    const found = await world.identify(token);
    world.pass(229_999);
    expect(found.stands()).toBe(true);
    expect(await world.identify(token)).toBe(found);
    world.pass(1);
    expect(found.stands()).toBe(false);
    await refused(world.identify(token), "CREDENTIAL_EXPIRED");
    expect(world.size()).toBe(0);
  });

  it("is not another of the same subject: each has its own claims, in either order and through a reload", async () => {
    const world = await worldWith();
    const admin = tokenBy(key, withClaims({ roles: ["admin"] }));
    const reader = tokenBy(key, withClaims({ roles: ["reader"] }));
    const rolesOf = async (text: string) => {
      const { identity } = await world.identify(text);
      return identity.kind === "jwt" ? identity.claims.roles : undefined;
    };
    for (const text of [admin, reader, reader, admin])
      expect(await rolesOf(text)).toEqual([text === admin ? "admin" : "reader"]);
    world.reload({ ...entry, algorithms: ["ES256"] });
    for (const text of [reader, admin, admin, reader])
      expect(await rolesOf(text)).toEqual([text === admin ? "admin" : "reader"]);
  });

  it("gives back of which certificate it is, whenever it is asked", async () => {
    const world = await worldWith();
    const thumbprint = Buffer.alloc(32, 7).toString("base64url");
    const bound = tokenBy(key, withClaims({ cnf: { "x5t#S256": thumbprint } }));
    for (const _ of "ab") expect((await world.identify(bound)).thumbprint).toBe(thumbprint);
    expect((await world.identify(token)).thumbprint).toBeUndefined();
  });

  it("is one of 16 MiB: the one that was used longest ago is verified again", async () => {
    const world = await worldWith();
    // Some 14 KiB each in memory.
    const large = Array.from({ length: 1_300 }, (_, n) => tokenBy(key, withClaims({ n, pad: "x".repeat(5_000) })));
    await Promise.all(large.slice(0, 1_000).map((each) => world.identify(each)));
    expect(world.size()).toBe(1_000);
    const verified = verifications();
    await world.identify(large[0]!);
    await Promise.all(large.slice(1_000).map((each) => world.identify(each)));
    expect(world.size()).toBeLessThan(1_200);
    expect(verified()).toBe(300);
    await world.identify(large[0]!);
    expect(verified()).toBe(300);
    await world.identify(large[1]!);
    expect(verified()).toBe(301);
  });

  it("is one of 10,000", async () => {
    const world = await worldWith();
    const short = Array.from({ length: 10_001 }, (_, n) => tokenBy(key, withClaims({ sub: `${n}` })));
    for (let from = 0; from < short.length; from += 500) {
      await Promise.all(short.slice(from, from + 500).map((each) => world.identify(each)));
    }
    expect(world.size()).toBe(10_000);
  });
});

describe("a token of somebody whom no rule names", () => {
  it("is known for 10 s, and takes no place of a caller's", async () => {
    const world = await worldWith();
    world.isNamed = (identity) => identity.kind === "jwt" && identity.subject !== "nobody";
    const nobody = tokenBy(key, withClaims({ sub: "nobody" }));
    const verified = verifications();
    for (const _ of "ab") expect((await world.identify(nobody)).identity).toMatchObject({ subject: "nobody" });
    expect([verified(), world.size()]).toEqual([1, 0]);
    world.pass(10_000);
    world.isNamed = () => true;
    for (const _ of "ab") await world.identify(nobody);
    expect([verified(), world.size()]).toEqual([2, 1]);
  });
});

describe("a token that many calls bring at once", () => {
  it("is verified once", async () => {
    const world = await worldWith();
    const verified = verifications();
    const found = await Promise.all(Array.from({ length: 50 }, (_, n) => world.identify(token, `192.0.2.${n}`)));
    expect(new Set(found).size).toBe(1);
    expect(verified()).toBe(1);
  });

  it("is refused to all of them, and verified once", async () => {
    const world = await worldWith();
    const forged = tokenBy(testKey("ES256", "k"), claims);
    const verified = verifications();
    await Promise.all(Array.from({ length: 50 }, () => refused(world.identify(forged))));
    expect(verified()).toBe(1);
  });
});

describe("a token that was refused", () => {
  it("is refused for 10 s without a look, and then looked at again", async () => {
    const world = await worldWith();
    const forged = tokenBy(testKey("ES256", "k"), claims);
    const verified = verifications();
    await refused(world.identify(forged));
    world.pass(9_999);
    await refused(world.identify(forged));
    expect(verified()).toBe(1);
    world.pass(1);
    await refused(world.identify(forged));
    expect(verified()).toBe(2);
  });

  it("is looked at again when the policy has changed: it may be good now", async () => {
    const world = await worldWith([{ ...entry, audience: "another" }]);
    await refused(world.identify(token));
    world.reload(entry);
    expect((await world.identify(token)).identity).toMatchObject({ kind: "jwt" });
  });

  it("is one of 1,000: the oldest is looked at again", async () => {
    const world = await worldWith();
    const stranger = testKey("ES256", "k");
    const forged = Array.from({ length: 1_001 }, (_, n) => tokenBy(stranger, withClaims({ n })));
    for (const each of forged) await refused(world.identify(each));
    const verified = verifications();
    await refused(world.identify(forged[1_000]!));
    await refused(world.identify(forged[1]!));
    expect(verified()).toBe(0);
    await refused(world.identify(forged[0]!));
    expect(verified()).toBe(1);
  });

  it("for having expired is not verified again in 10 s either", async () => {
    const world = await worldWith();
    world.pass(630_000);
    const verified = verifications();
    for (const _ of "abc") await refused(world.identify(token), "CREDENTIAL_EXPIRED");
    expect(verified()).toBe(1);
  });

  it("for want of its issuer's keys is not remembered", async () => {
    const published: Json = { sso: new Error("down") };
    const world = await worldWith([entry], published);
    await refused(world.identify(token), "ISSUER_UNAVAILABLE");
    published.sso = { keys: [key.jwk] };
    await refused(world.identify(token), "ISSUER_UNAVAILABLE");
    world.pass(30_000);
    expect(await world.identify(token)).toBeDefined();
  });

  it("for want of its issuer's keys is accepted as soon as they are there, by whatever loads them", async () => {
    const published: Json = { sso: new Error("down") };
    const world = await worldWith([entry], published);
    await refused(world.identify(token), "ISSUER_UNAVAILABLE");
    published.sso = { keys: [key.jwk] };
    await world.issuers.all[0]!.keys.reload();
    expect(await world.identify(token)).toBeDefined();
  });

  it("by a key that was not there yet is accepted once it is", async () => {
    const published: Json = { sso: { keys: [key.jwk] } };
    const world = await worldWith([entry], published);
    const next = testKey("ES256", "next");
    const early = tokenBy(next, claims);
    await refused(world.identify(early), "ISSUER_UNAVAILABLE");
    published.sso = { keys: [key.jwk, next.jwk] };
    world.pass(30_000);
    expect(await world.identify(early)).toBeDefined();
  });
});

describe("what a token stands on", () => {
  it("attack 27: a key that is gone from the set voids what it verified", async () => {
    const published: Json = { sso: { keys: [key.jwk] } };
    const world = await worldWith([entry], published);
    const found = await world.identify(token);
    published.sso = { keys: [{ ...testKey("ES256").jwk, kid: "k" }] };
    await world.issuers.all[0]!.keys.reload();
    expect(found.stands()).toBe(false);
    await refused(world.identify(token));
    expect(world.size()).toBe(0);
  });

  it("attack 44a: an issuer that is gone voids what it issued", async () => {
    const world = await worldWith();
    const found = await world.identify(token);
    world.reload({ ...entry, name: "unlike", issuer: "https://other.example.org" });
    expect(found.stands()).toBe(false);
    await refused(world.identify(token));
  });

  it.each([{ audience: "other" }, { algorithms: ["RS256"] }, { "max-lifetime": "1m" }] as Json[])(
    "attack 44a: an issuer whose entry has another %o voids what it issued",
    async (changed) => {
      const world = await worldWith();
      const found = await world.identify(token);
      world.reload({ ...entry, ...changed });
      expect(found.stands()).toBe(false);
      await refused(world.identify(token));
    },
  );

  it("attack 44a: an issuer under another name makes another identity", async () => {
    const world = await worldWith([entry], { sso: { keys: [key.jwk] }, renamed: { keys: [key.jwk] } });
    const found = await world.identify(token);
    world.reload({ ...entry, name: "renamed" });
    expect(found.stands()).toBe(false);
    const again = await world.identify(token);
    expect(again.identity).toMatchObject({ issuer: "renamed" });
    expect(again.stands()).toBe(true);
  });

  it("is not shaken by a reload that leaves the entry alone, nor by a new key beside the old one", async () => {
    const published: Json = { sso: { keys: [key.jwk] }, more: { keys: [key.jwk] } };
    const world = await worldWith([entry], published);
    const found = await world.identify(token);
    world.reload({ name: "more", issuer: "https://more.example.org", audience: "x" }, entry);
    published.sso = { keys: [testKey("ES256", "new").jwk, key.jwk] };
    await world.issuers.byIssuer(entry.issuer)!.keys.reload();
    expect(found.stands()).toBe(true);
    expect(await world.identify(token)).toBe(found);
  });

  it("of a JWT-SVID is its trust domain", async () => {
    const spire = { name: "spire", "trust-domain": "example.org", "bundle-file": "/b", audience: "fluo-kms" };
    const world = await worldWith([spire], { spire: { keys: [{ ...key.jwk, use: "jwt-svid" }] } });
    const svid = tokenBy(key, { sub: "spiffe://example.org/a", aud: "fluo-kms", exp: second + 300 });
    const found = await world.identify(svid);
    expect(found.identity).toEqual({ kind: "spiffe", id: "spiffe://example.org/a" });
    expect(found.stands()).toBe(true);
    world.reload({ ...spire, audience: ["fluo-kms", "other"] });
    expect(found.stands()).toBe(false);
    expect((await world.identify(svid)).stands()).toBe(true);
    world.reload();
    await refused(world.identify(svid));
  });

  it("attack 29: are keys that are not past their age, also for what is remembered", async () => {
    const published: Json = { sso: { keys: [key.jwk] } };
    const world = await worldWith([{ ...entry, "max-lifetime": "100h" }], published);
    const long = tokenBy(key, withClaims({ exp: second + 100 * 3_600 }));
    published.sso = new Error("down");
    world.pass(24 * 3_600_000);
    const found = await world.identify(long);
    expect(found.stands()).toBe(true);
    world.pass(1);
    expect(found.stands()).toBe(false);
    await refused(world.identify(long), "ISSUER_UNAVAILABLE");
  });
});

describe("many tokens at once", () => {
  it("attack 28: with unknown kids are one fetch, and another issuer's callers do not see them", async () => {
    const published = { sso: { keys: [key.jwk] }, other: { keys: [key.jwk] } };
    const world = await worldWith([entry, { ...entry, name: "other", issuer: "https://other.example.org" }], published);
    world.pass(30_000);
    const loads = world.loads.sso!;
    const stranger = testKey("ES256");
    const codes = new Set<string>();
    const flood = Array.from({ length: 10_000 }, (_, n) =>
      world
        .identify(tokenBy({ ...key, privateKey: stranger.privateKey, kid: `u${n}` }, withClaims({ n })))
        .catch((error) => {
          codes.add(error.code);
        }),
    );
    expect(await world.identify(token)).toBeDefined();
    expect(await world.identify(tokenBy(key, withClaims({ iss: "https://other.example.org" })))).toBeDefined();
    await Promise.all(flood);
    expect([...codes].sort()).toEqual(["ISSUER_UNAVAILABLE", "UNAUTHENTICATED"]);
    expect(world.loads.sso).toBe(loads + 1);
  });

  it("are verified 16 at once, in turn by address, and at most 1,000 wait", async () => {
    const world = await worldWith();
    const stranger = testKey("ES256", "k");
    const gate = Promise.withResolvers<void>();
    const verify = crypto.subtle.verify.bind(crypto.subtle);
    const spy = vi.spyOn(crypto.subtle, "verify").mockImplementation(async (...args: Parameters<typeof verify>) => {
      await gate.promise;
      return verify(...args);
    });
    const ends: string[] = [];
    const ask = (text: string, address: string) =>
      world.identify(text, address).then(
        () => void ends.push(address),
        (error) => void ends.push(`${address}: ${error.code} ${error.message}`),
      );
    const flood = Array.from({ length: 1_016 }, (_, n) => ask(tokenBy(stranger, withClaims({ n })), "flood"));
    await expect.poll(() => spy.mock.calls.length).toBe(16);
    const beyond = ask(tokenBy(stranger, withClaims({ n: "beyond" })), "flood");
    await beyond;
    expect(ends).toEqual(["flood: RATE_LIMITED too many calls: wait"]);
    const tokens = [0, 1, 2].map((n) => tokenBy(key, withClaims({ n: `other ${n}` })));
    const others = tokens.map((text, n) => ask(text, `other ${n}`));
    await expect.poll(() => ends.length).toBe(4);
    expect(ends[3]).toBe("flood: RATE_LIMITED too many calls: wait");
    expect(spy).toHaveBeenCalledTimes(16);
    gate.resolve();
    await Promise.all([...flood, ...others]);
    // They came last, and began as if the flood were one: 16 were under way, and each address has its turn.
    const begun = spy.mock.calls.map(([, , , signed]) => Buffer.from(signed as Uint8Array).toString());
    expect(tokens.map((text) => begun.indexOf(text.slice(0, text.lastIndexOf("."))))).toEqual([17, 18, 19]);
    expect(ends.filter((each) => each.startsWith("flood: UNAUTHENTICATED"))).toHaveLength(1_013);
  });

  it("attack 62: are in no error of theirs, nor is the hash of one", async () => {
    const world = await worldWith();
    const email = "canary@example.org";
    const forged = tokenBy(testKey("ES256", "k"), withClaims({ email, sub: "canary" }));
    for (const bad of [forged, tokenBy(key, withClaims({ email, aud: "canary-aud", sub: "canary" })), `${forged}x`]) {
      const error = await world.identify(bad).catch((each) => each);
      const seen = JSON.stringify([error, error.message, error.inLog, error.stack, error.cause ?? null]);
      expect(seen).not.toContain("canary");
      expect(seen).not.toContain(bad.split(".")[1]);
    }
  });
});
