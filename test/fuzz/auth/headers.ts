/**
 * Headers to `authenticate`, on connections with and without a certificate: tokens that are good, made wrong, or signed nonsense. What nobody
 * signed is never accepted, and what is good is never refused.
 */
import { createAuthenticator, type Loaded } from "../../../src/auth/authenticator.ts";
import type { PresentedCertificate } from "../../../src/auth/certificate/peer.ts";
import { createDemands, createMatcher } from "../../../src/auth/policy/grants.ts";
import { newStaticToken, staticTokens } from "../../../src/auth/token/static-token.ts";
import { roles } from "../../../src/call/roles.ts";
import { hasCode } from "../../../src/errors.ts";
import type { Random } from "../../crash/random.ts";
import { newAuthority } from "../../support/pki.ts";
import { policyOf } from "../../support/policy-fixture.ts";
import { type Json, sharedKey, tokenBy } from "../../support/signed-tokens.ts";
import { startMs, worldOf } from "../../support/token-world.ts";
import { mutatedHeader, signedNonsense } from "./header-texts.ts";
import type { TargetKind } from "./target.ts";

const keys = (["RS256", "ES256", "EdDSA"] as const).map((alg) => sharedKey(alg, alg));
const signer = keys.at(-1)!;
const statics = [newStaticToken(), newStaticToken()];
/** Of certificates, whose clock is that of the tokens. */
const valid = { from: new Date(startMs - 1_000), until: new Date(startMs + 3_600_000) };
const mesh = newAuthority({ name: "mesh", ...valid });
const ca = newAuthority({ name: "stranger", ...valid });
const id = "spiffe://example.org/ingest";

const issuers: Json[] = [
  { name: "sso", issuer: "https://sso.example.org", audience: ["fluo-kms", "kms"] },
  { name: "spire", "trust-domain": "svid.example.org", "bundle-file": "/b.json", audience: "fluo-kms" },
];
const policy = policyOf(
  JSON.stringify({
    version: "1",
    certificates: [{ name: "mesh", "trust-domain": "example.org", ca: "/mesh.pem" }],
    issuers,
    tokens: statics.map(({ sha256 }, at) => ({
      name: `t${at}`,
      sha256,
      expires: at === 0 ? "2099-01-01" : "2026-01-01",
    })),
    rules: [
      { name: "ingest", who: { spiffe: id }, roles: ["sign"], tenants: "*" },
      { name: "svid", who: { spiffe: "spiffe://svid.example.org/*" }, roles: ["sign"], tenants: ["acme"] },
      {
        name: "people",
        who: { jwt: { issuer: "sso", claims: { "/realm/roles": "ops" } } },
        roles: ["decrypt"],
        tenants: { claim: "tenants" },
      },
      { name: "script", who: { token: "t0" }, roles: ["status", "encrypt"], tenants: "*" },
      { name: "late", who: { token: "t1" }, roles: ["status"], tenants: "*" },
    ],
  }),
);

const second = startMs / 1_000;
const claims = { iss: "https://sso.example.org", aud: "fluo-kms", sub: "ann", iat: second, exp: second + 7_200 };
const realm = { realm: { roles: ["ops", "dev"] }, tenants: ["acme", "globex"] };
const svid = { sub: "spiffe://svid.example.org/web", aud: "fluo-kms", exp: second + 300 };
/** Good for the first 5 minutes at least. */
const good = [
  ...keys.flatMap((key) => [tokenBy(key, claims), tokenBy(key, { ...claims, ...realm }, { typ: "at+jwt" })]),
  ...keys.map((key) => tokenBy(key, svid)),
  statics[0]!.token,
].map((token) => `Bearer ${token}`);
const bad = [
  tokenBy(signer, { ...claims, exp: second - 3_600 }),
  tokenBy(signer, { ...claims, iss: "https://sso.example.org/" }),
  tokenBy(signer, { ...claims, aud: "account" }),
  tokenBy({ ...signer, kid: "unknown" }, claims),
  tokenBy(sharedKey("ES256", "forger"), claims, { kid: "ES256" }),
  statics[1]!.token,
].map((token) => `Bearer ${token}`);
const seeds = [...good, ...bad];

const codes = ["UNAUTHENTICATED", "CREDENTIAL_EXPIRED", "ISSUER_UNAVAILABLE"] as const;
const nowOf = (number: number) => startMs + (number % 250_000);

export const headers: TargetKind = {
  async open() {
    const published = { sso: { keys: keys.map(({ jwk }) => jwk) } as Json, spire: svidKeys() };
    const world = worldOf(issuers, published);
    await Promise.all(world.issuers.all.map(({ keys: set }) => set.reload()));
    const now = () => world.nowMs;
    const loaded: Loaded = {
      separation: true,
      grantsOf: createMatcher(policy.rules),
      staticTokens: staticTokens(policy.tokens, now),
      tokenDemandOn: createDemands(policy.rules),
      authorities: [{ entry: policy.certificates[0]!, roots: [mesh.x509], lists: [] }],
    };
    const authenticator = createAuthenticator({ loaded: () => loaded, tokens: world.tokens, now });

    async function answer(authorization: readonly string[], presented: PresentedCertificate | undefined) {
      try {
        const caller = await authenticator.authenticate(authenticator.connect(presented, "192.0.2.1"), authorization);
        caller.credential!.check();
        for (const role of roles) for (const tenant of ["acme", "globex"]) caller.has(role, tenant);
        return "accepted";
      } catch (error) {
        if (hasCode(error, ...codes)) return error.code;
        throw error;
      }
    }

    return {
      input(random, number) {
        const { authorization, presented, may } = anyHeaders(random);
        return {
          shown: JSON.stringify({ authorization, certificate: presented?.leaf.subjectAltName }),
          async run() {
            world.nowMs = nowOf(number);
            const given = await answer(authorization, presented);
            if (may === "pass" ? given !== "accepted" : may === "not" && given === "accepted") {
              throw new Error(`${given}, and it must ${may} be accepted`);
            }
            return given;
          },
        };
      },
      close: world.close,
    };
  },
  far: { way: "accepted", atLeast: 0.02 },
};

interface Headers {
  authorization: string[];
  presented: PresentedCertificate | undefined;
  /** Whether it must be accepted, must not be, or may be as its claims happen to be. */
  may: "pass" | "not" | "either";
}

const connections = [undefined, mesh.issue({ uris: [id], ...valid }), ca.issue({ uris: [id], ...valid })].map(
  (issued) => issued && { leaf: issued.x509, chain: [], unverified: undefined },
);

function anyHeaders(random: Random): Headers {
  const presented = random.pick(connections);
  if (random.chance(0.03)) return { authorization: [], presented, may: presented === connections[1] ? "pass" : "not" };
  const seed = random.pick(seeds)!;
  if (random.chance(0.05)) return { authorization: [seed], presented, may: good.includes(seed) ? "pass" : "not" };
  if (random.chance(0.1))
    return {
      authorization: [`Bearer ${signedNonsense(signer, { ...claims, ...realm }, random)}`],
      presented,
      may: "either",
    };
  const text = random.chance(0.02) ? Buffer.from(random.bytes(random.below(400))).toString("latin1") : seed;
  const mutated = mutatedHeader(text, seeds, random);
  if (random.chance(0.03)) return { authorization: [seed, mutated], presented, may: "not" };
  return {
    authorization: [mutated],
    presented,
    may: good.includes(mutated.replace(/^bearer /i, "Bearer ")) ? "pass" : "not",
  };
}

function svidKeys(): Json {
  return { keys: keys.map(({ jwk: { alg: _, ...jwk } }) => ({ ...jwk, use: "jwt-svid" })) };
}
