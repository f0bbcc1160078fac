/** Credentials to callers: which of them counts, for how long, and what is told of one that does not. */
import { afterEach, describe, expect, it } from "vitest";
import { type Authenticator, checkKnown, createAuthenticator, type Loaded } from "../../src/auth/authenticator.ts";
import type { PolicyCaller } from "../../src/auth/caller.ts";
import type { PresentedCertificate } from "../../src/auth/certificate/peer.ts";
import { createDemands, createMatcher } from "../../src/auth/policy/grants.ts";
import { newStaticToken, staticTokens } from "../../src/auth/token/static-token.ts";
import type { KmsError } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";
import { type Issued, newAuthority } from "../support/pki.ts";
import { policyOf } from "../support/policy-fixture.ts";
import { type Json, sharedKey, tokenBy } from "../support/signed-tokens.ts";
import { startMs, type World, worldOf } from "../support/token-world.ts";

const key = sharedKey("EdDSA", "k");
const mesh = newAuthority({ name: "mesh", ...lasting(3_600_000) });
const other = newAuthority({ name: "other", ...lasting(3_600_000) });
const ingest = mesh.issue({ uris: ["spiffe://example.org/ingest"], ...lasting(60_000) });
const script = newStaticToken();
const sso: Json = { name: "sso", issuer: "https://sso.example.org", audience: "fluo-kms" };
const second = startMs / 1_000;
const claims = { iss: "https://sso.example.org", aud: "fluo-kms", sub: "ann", iat: second, exp: second + 120 };

function lasting(ms: number) {
  return { from: new Date(startMs - 1_000), until: new Date(startMs + ms) };
}

const ruleFor = (name: string, who: object) => ({ name, who, roles: ["sign"], tenants: "*" });
const everyone = [
  ruleFor("ingest", { spiffe: "spiffe://example.org/ingest" }),
  ruleFor("people", { jwt: { issuer: "sso", subject: "ann" } }),
  ruleFor("script", { token: "script" }),
];

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

async function start(certificates = true) {
  const world = worldOf([sso], { sso: { keys: [key.jwk] } });
  worlds.push(world);
  await Promise.all(world.issuers.all.map(({ keys }) => keys.reload()));
  const now = () => world.nowMs;
  let loaded: Loaded;
  /** Puts another policy into force, of the same issuers. */
  function load(changed: { rules?: object[]; authorities?: boolean; sha256?: string; token?: string }): void {
    const { rules = everyone, authorities = certificates, token: name = "script", sha256 = script.sha256 } = changed;
    const meshes = [{ name: "mesh", "trust-domain": "example.org", ca: "/mesh.pem" }];
    const tokens = [{ name, sha256, expires: "2026-03-02" }];
    const policy = policyOf(JSON.stringify({ version: "1", certificates: meshes, issuers: [sso], tokens, rules }));
    loaded = {
      separation: true,
      grantsOf: createMatcher(policy.rules),
      staticTokens: staticTokens(policy.tokens, now),
      tokenDemandOn: createDemands(policy.rules),
      authorities: authorities ? [{ entry: policy.certificates[0]!, roots: [mesh.x509], lists: [] }] : [],
    };
  }
  load({});
  const authenticator = createAuthenticator({ loaded: () => loaded, tokens: world.tokens, now });
  return {
    world,
    authenticator,
    load,
    authenticate: authenticator.authenticate,
    /** A connection of its own. */
    by: (issued?: Issued) => authenticator.connect(issued && presented(issued), "192.0.2.1"),
  };
}

function presented({ x509 }: Issued, unverified?: string): PresentedCertificate {
  return { leaf: x509, chain: [], unverified };
}

const bearer = (token: string) => [`Bearer ${token}`];
type Found = ReturnType<Authenticator["authenticate"]>;
const nameOf = async (found: Found) => (await found).name;
const refused = async (call: () => unknown) => (await thrownBy(async () => call())) as KmsError;
const refusal = (message: string, reason: string | RegExp = "") => ({
  code: "UNAUTHENTICATED",
  message,
  inLog: typeof reason === "string" ? `${message}${reason}` : expect.stringMatching(reason),
});
const expired = { code: "CREDENTIAL_EXPIRED" };
const unauthenticated = { code: "UNAUTHENTICATED" };
const [noCertificate, noToken] = ["the client certificate is not accepted", "the token is not accepted"];
const svid = { uris: ["spiffe://example.org/ingest"], ...lasting(60_000) };

describe("a certificate", () => {
  it("proves its caller, at once and by the same object on its connection, to its last millisecond", async () => {
    const { authenticate, by, world } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    expect(caller.name).toBe("spiffe://example.org/ingest");
    expect(caller.credential?.untilMs).toBe(startMs + 60_000);
    expect(authenticate(by(ingest), [])).not.toBe(caller);
    world.pass(59_999);
    expect(authenticate(connection, [])).toBe(caller);
    caller.credential!.check();
    world.pass(1);
    expect(await refused(() => authenticate(connection, []))).toMatchObject(expired);
    expect(await refused(() => caller.credential!.check())).toMatchObject(expired);
  });

  it("is no credential where there is none, or where the policy has no authorities", async () => {
    const { authenticate, by } = await start();
    expect(await refused(() => authenticate(by(), []))).toMatchObject(refusal("no credential", /^no credential came/));
    const without = await start(false);
    const connection = without.by(ingest);
    expect(without.authenticator.peerOf(connection)).toBeUndefined();
    const why = /^a client certificate came, and the policy in force names no certificates$/;
    expect(await refused(() => without.authenticate(connection, []))).toMatchObject(refusal("no credential", why));
  });

  it("of a stranger is refused, for a reason that is for the log alone", async () => {
    const { authenticate, by } = await start();
    expect(await refused(() => authenticate(by(other.issue(svid)), []))).toMatchObject(
      refusal(noCertificate, ": no authority of the policy issued it"),
    );
  });

  it("that had ended before it was presented has expired, and is not merely refused", async () => {
    const { authenticate, authenticator, world } = await start();
    world.pass(60_000);
    const connection = authenticator.connect(presented(ingest, "CERT_HAS_EXPIRED"), "192.0.2.1");
    expect(await refused(() => authenticate(connection, []))).toMatchObject(expired);
  });

  it("keeps its caller through a reload, and loses it with its authority", async () => {
    const { authenticate, by, load } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    expect(checkKnown(caller)).toBe(caller);
    load({ rules: everyone.slice(1) });
    expect(authenticate(connection, [])).toBe(caller);
    expect(caller.grants()).toEqual([]);
    caller.credential!.check();
    const unknown = "no rule names this caller";
    expect(await refused(() => checkKnown(caller))).toMatchObject({
      code: "PERMISSION_DENIED",
      message: unknown,
      inLog: `${unknown}: spiffe://example.org/ingest`,
    });
    load({ authorities: false });
    expect(await refused(() => authenticate(connection, []))).toMatchObject(refusal("no credential", /./));
    expect(await refused(() => caller.credential!.check())).toMatchObject(expired);
  });
});

describe("a certificate of which a rule demands a token", () => {
  const demanding = [{ name: "gate", who: { spiffe: "spiffe://example.org/ingest" }, token: "required" }, ...everyone];

  it("counts for nothing without one, whatever other rules give, and makes no bad one good", async () => {
    const { authenticate, authenticator, by, load } = await start();
    load({ rules: demanding });
    const connection = by(ingest);
    const needed = "this client certificate counts only with a token";
    const why = ", by rule gate: none came, or a malformed one";
    expect(await refused(() => authenticate(connection, []))).toMatchObject(refusal(needed, why));
    expect(authenticator.demandsToken(connection)).toBe(true);
    expect(authenticator.peerOf(connection)).toHaveProperty("identity");
    expect(await nameOf(authenticate(connection, bearer(tokenBy(key, claims))))).toBe("jwt:sso:ann");
    expect(await nameOf(authenticate(connection, bearer(script.token)))).toBe("token:script");
    expect(await refused(() => authenticate(connection, [""]))).toMatchObject(unauthenticated);
    expect(await refused(() => authenticate(connection, []))).toMatchObject(unauthenticated);
  });

  it("ends its streams, and comes back, as policies change", async () => {
    const { authenticate, authenticator, by, load } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    expect(authenticator.demandsToken(connection)).toBe(false);
    load({ rules: demanding });
    expect(await refused(() => caller.credential!.check())).toMatchObject(unauthenticated);
    load({});
    expect(authenticate(connection, [])).toBe(caller);
    caller.credential!.check();
  });

  it("that is not accepted, or over, is told so", async () => {
    const { authenticate, by, load, world } = await start();
    load({ rules: demanding });
    const connections = [by(other.issue(svid)), by(ingest)] as const;
    expect(await refused(() => authenticate(connections[0], []))).toHaveProperty("message", noCertificate);
    world.pass(60_000);
    expect(await refused(() => authenticate(connections[1], []))).toMatchObject(expired);
  });
});

describe("a token", () => {
  it("counts alone: a certificate makes no bad one good, and its caller is another", async () => {
    const { authenticate, by } = await start();
    const connection = by(ingest);
    const forged = tokenBy(sharedKey("EdDSA", "forger"), claims, { kid: "k" });
    for (const bad of [bearer(forged), ["Basic YTpi"]]) {
      expect(await refused(() => authenticate(connection, bad))).toMatchObject(unauthenticated);
    }
    expect(await nameOf(authenticate(connection, bearer(tokenBy(key, claims))))).toBe("jwt:sso:ann");
  });

  it("that was seen before has the same caller at once, on any connection, until it ends", async () => {
    const { authenticate, by, world } = await start();
    const token = bearer(tokenBy(key, claims));
    const first = authenticate(by(), token);
    expect(first).toBeInstanceOf(Promise);
    const caller = await first;
    expect(authenticate(by(ingest), token)).toBe(caller);
    expect(caller.credential!.untilMs).toBe(startMs + 150_000); // with the tolerance
    world.pass(149_999);
    caller.credential!.check();
    world.pass(1);
    expect(await refused(() => caller.credential!.check())).toMatchObject(expired);
    expect(await refused(() => authenticate(by(), token))).toMatchObject(expired);
  });

  it("that is bound to a certificate counts with that one alone", async () => {
    const { authenticate, by } = await start();
    const thumbprint = Buffer.from(ingest.x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
    const token = bearer(tokenBy(key, { ...claims, cnf: { "x5t#S256": thumbprint } }));
    expect(await nameOf(authenticate(by(ingest), token))).toBe("jwt:sso:ann");
    for (const connection of [by(), by(mesh.issue(svid)), by(other.issue(svid))]) {
      expect(await refused(() => authenticate(connection, token))).toMatchObject(
        refusal(noToken, ": it is bound to another certificate"),
      );
    }
  });
});

describe("a static token", () => {
  it("has its caller at once, the same while it is in the policy, and until its end", async () => {
    const { authenticate, by, world } = await start();
    const caller = authenticate(by(), bearer(script.token)) as PolicyCaller;
    expect(caller.name).toBe("token:script");
    expect(authenticate(by(ingest), bearer(script.token))).toBe(caller);
    const unknown = bearer(newStaticToken().token);
    expect(await refused(() => authenticate(by(), unknown))).toMatchObject(unauthenticated);
    expect(caller.credential!.untilMs).toBe(Date.parse("2026-03-02"));
    world.pass(caller.credential!.untilMs - startMs);
    expect(await refused(() => caller.credential!.check())).toMatchObject(expired);
    expect(await refused(() => authenticate(by(), bearer(script.token)))).toMatchObject(expired);
  });

  it.each([
    ["its hash", { sha256: "0".repeat(64) }],
    ["its name", { token: "another", rules: [] }],
  ])("is over on open streams with a policy that changes %s", async (_what, changed) => {
    const { authenticate, by, load } = await start();
    const caller = authenticate(by(), bearer(script.token)) as PolicyCaller;
    load({ rules: everyone });
    caller.credential!.check();
    load({ rules: everyone.slice(0, 2), ...changed });
    expect(await refused(() => caller.credential!.check())).toMatchObject(expired);
  });
});
