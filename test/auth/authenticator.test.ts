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

interface Fixture {
  world: World;
  authenticate: Authenticator["authenticate"];
  authenticator: Authenticator;
  /** A connection of its own. */
  by(issued?: Issued): ReturnType<Authenticator["connect"]>;
  /** Puts another policy into force, of the same issuers. */
  load(changed: { rules?: object[]; authorities?: boolean; sha256?: string; token?: string }): void;
}

const worlds: World[] = [];
afterEach(() => {
  for (const world of worlds.splice(0)) world.close();
});

async function start(certificates = true): Promise<Fixture> {
  const world = worldOf([sso], { sso: { keys: [key.jwk] } });
  worlds.push(world);
  await Promise.all(world.issuers.all.map(({ keys }) => keys.reload()));
  const now = () => world.nowMs;
  let loaded: Loaded;
  const load: Fixture["load"] = ({ rules = everyone, authorities = certificates, token = "script", ...changed }) => {
    const policy = policyOf(
      JSON.stringify({
        version: "1",
        certificates: [{ name: "mesh", "trust-domain": "example.org", ca: "/mesh.pem" }],
        issuers: [sso],
        tokens: [{ name: token, sha256: changed.sha256 ?? script.sha256, expires: "2026-03-02" }],
        rules,
      }),
    );
    loaded = {
      separation: true,
      grantsOf: createMatcher(policy.rules),
      staticTokens: staticTokens(policy.tokens, now),
      tokenDemandOn: createDemands(policy.rules),
      authorities: authorities ? [{ entry: policy.certificates[0]!, roots: [mesh.x509], lists: [] }] : [],
    };
  };
  load({});
  const authenticator = createAuthenticator({ loaded: () => loaded, tokens: world.tokens, now });
  return {
    world,
    authenticator,
    load,
    authenticate: authenticator.authenticate,
    by: (issued) => authenticator.connect(issued && presented(issued), "192.0.2.1"),
  };
}

function presented({ x509 }: Issued, unverified?: string): PresentedCertificate {
  return { leaf: x509, chain: [], unverified };
}

const bearer = (token: string) => [`Bearer ${token}`];
const certificateRefused = "the client certificate is not accepted";
const expired = { code: "CREDENTIAL_EXPIRED" };
const callerBy = async (found: ReturnType<Authenticator["authenticate"]>): Promise<PolicyCaller> => found;

describe("a certificate", () => {
  it("proves its caller, at once and by the same object on its connection", async () => {
    const { authenticate, by } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    expect(caller.name).toBe("spiffe://example.org/ingest");
    expect(caller.credential?.untilMs).toBe(startMs + 60_000);
    expect(authenticate(connection, [])).toBe(caller);
    expect(authenticate(by(ingest), [])).not.toBe(caller);
  });

  it("is no credential where there is none, or where the policy has no authorities", async () => {
    const { authenticate, by } = await start();
    const none = (await thrownBy(() => authenticate(by(), []))) as KmsError;
    expect(none).toBeKmsError("UNAUTHENTICATED", "no credential");
    expect(none.inLog).toMatch(/^no credential came/);
    const without = await start(false);
    const connection = without.by(ingest);
    expect(without.authenticator.peerOf(connection)).toBeUndefined();
    const refused = (await thrownBy(() => without.authenticate(connection, []))) as KmsError;
    expect(refused).toBeKmsError("UNAUTHENTICATED", "no credential");
    expect(refused.inLog).toBe("a client certificate came, and the policy in force names no certificates");
  });

  it("of a stranger is refused, for a reason that is for the log alone", async () => {
    const { authenticate, by } = await start();
    const error = (await thrownBy(() =>
      authenticate(by(other.issue({ uris: ["spiffe://example.org/ingest"], ...lasting(60_000) })), []),
    )) as KmsError;
    expect(error).toBeKmsError("UNAUTHENTICATED");
    expect(error.message).toBe("the client certificate is not accepted");
    expect(error.inLog).toBe("the client certificate is not accepted: no authority of the policy issued it");
  });

  it("ends on its open connection, in its last millisecond, for calls and for streams that are open", async () => {
    const { authenticate, by, world } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    world.pass(59_999);
    expect(authenticate(connection, [])).toBe(caller);
    caller.credential!.check();
    world.pass(1);
    expect(await thrownBy(() => authenticate(connection, []))).toMatchObject(expired);
    expect(await thrownBy(() => caller.credential!.check())).toMatchObject(expired);
  });

  it("that had ended before it was presented has expired, and is not merely refused", async () => {
    const { authenticate, authenticator, world } = await start();
    world.pass(60_000);
    const connection = authenticator.connect(presented(ingest, "CERT_HAS_EXPIRED"), "192.0.2.1");
    expect(await thrownBy(() => authenticate(connection, []))).toMatchObject(expired);
  });

  it("keeps its caller through a reload, and loses it with its authority", async () => {
    const { authenticate, by, load } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    load({ rules: everyone.slice(1) });
    expect(authenticate(connection, [])).toBe(caller);
    expect(caller.grants()).toEqual([]);
    caller.credential!.check();
    load({ authorities: false });
    expect(await thrownBy(() => authenticate(connection, []))).toBeKmsError("UNAUTHENTICATED", "no credential");
    expect(await thrownBy(() => caller.credential!.check())).toMatchObject(expired);
  });
});

describe("a certificate of which a rule demands a token", () => {
  const demanding = [{ name: "gate", who: { spiffe: "spiffe://example.org/ingest" }, token: "required" }, ...everyone];

  it("counts for nothing without one, whatever other rules give", async () => {
    const { authenticate, authenticator, by, load } = await start();
    load({ rules: demanding });
    const connection = by(ingest);
    const error = (await thrownBy(() => authenticate(connection, []))) as KmsError;
    expect(error).toBeKmsError("UNAUTHENTICATED", "this client certificate counts only with a token");
    expect(error.inLog).toBe(
      "this client certificate counts only with a token, by rule gate: none came, or a malformed one",
    );
    expect(authenticator.demandsToken(connection)).toBe(true);
    expect(authenticator.peerOf(connection)).toHaveProperty("identity");
  });

  it("leaves the token to count alone, and no bad one is made good", async () => {
    const { authenticate, by, load } = await start();
    load({ rules: demanding });
    const connection = by(ingest);
    expect((await callerBy(authenticate(connection, bearer(tokenBy(key, claims))))).name).toBe("jwt:sso:ann");
    expect((authenticate(connection, bearer(script.token)) as PolicyCaller).name).toBe("token:script");
    expect(await thrownBy(() => authenticate(connection, [""]))).toBeKmsError("UNAUTHENTICATED");
    expect(await thrownBy(() => authenticate(connection, []))).toBeKmsError("UNAUTHENTICATED");
  });

  it("ends its streams, and comes back, as policies change", async () => {
    const { authenticate, authenticator, by, load } = await start();
    const connection = by(ingest);
    const caller = authenticate(connection, []) as PolicyCaller;
    expect(authenticator.demandsToken(connection)).toBe(false);
    load({ rules: demanding });
    expect(await thrownBy(() => caller.credential!.check())).toBeKmsError("UNAUTHENTICATED");
    load({});
    expect(authenticate(connection, [])).toBe(caller);
    caller.credential!.check();
  });

  it("that is not accepted, or over, is told so", async () => {
    const { authenticate, by, load, world } = await start();
    load({ rules: demanding });
    const stranger = by(other.issue({ uris: ["spiffe://example.org/ingest"], ...lasting(60_000) }));
    expect(await thrownBy(() => authenticate(stranger, []))).toHaveProperty("message", certificateRefused);
    const connection = by(ingest);
    world.pass(60_000);
    expect(await thrownBy(() => authenticate(connection, []))).toMatchObject(expired);
  });
});

describe("a token", () => {
  it("counts alone: a certificate makes no bad one good, and its caller is another", async () => {
    const { authenticate, by } = await start();
    const connection = by(ingest);
    const forged = tokenBy(sharedKey("EdDSA", "forger"), claims, { kid: "k" });
    expect(await thrownBy(() => authenticate(connection, bearer(forged)))).toBeKmsError("UNAUTHENTICATED");
    expect(await thrownBy(() => authenticate(connection, ["Basic YTpi"]))).toBeKmsError("UNAUTHENTICATED");
    const good = await callerBy(authenticate(connection, bearer(tokenBy(key, claims))));
    expect(good.name).toBe("jwt:sso:ann");
  });

  it("that was seen before has the same caller at once, on any connection", async () => {
    const { authenticate, by } = await start();
    const token = tokenBy(key, claims);
    const first = authenticate(by(), bearer(token));
    expect(first).toBeInstanceOf(Promise);
    const caller = await first;
    expect(authenticate(by(ingest), bearer(token))).toBe(caller);
  });

  it("ends for calls and for streams that are open", async () => {
    const { authenticate, by, world } = await start();
    const token = tokenBy(key, claims);
    const caller = await callerBy(authenticate(by(), bearer(token)));
    expect(caller.credential!.untilMs).toBe(startMs + 150_000); // with the tolerance
    world.pass(149_999);
    caller.credential!.check();
    world.pass(1);
    expect(await thrownBy(() => caller.credential!.check())).toMatchObject(expired);
    expect(await thrownBy(() => authenticate(by(), bearer(token)))).toMatchObject(expired);
  });

  it("that is bound to a certificate counts with that one alone", async () => {
    const { authenticate, by } = await start();
    const thumbprint = Buffer.from(ingest.x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
    const token = bearer(tokenBy(key, { ...claims, cnf: { "x5t#S256": thumbprint } }));
    expect((await callerBy(authenticate(by(ingest), token))).name).toBe("jwt:sso:ann");
    const again = mesh.issue({ uris: ["spiffe://example.org/ingest"], ...lasting(60_000) });
    const stranger = other.issue({ uris: ["spiffe://example.org/ingest"], ...lasting(60_000) });
    for (const connection of [by(), by(again), by(stranger)]) {
      const error = (await thrownBy(async () => authenticate(connection, token))) as KmsError;
      expect(error).toBeKmsError("UNAUTHENTICATED");
      expect(error.message).toBe("the token is not accepted");
      expect(error.inLog).toBe("the token is not accepted: it is bound to another certificate");
    }
  });
});

describe("a static token", () => {
  it("has its caller at once, the same while it is in the policy", async () => {
    const { authenticate, by } = await start();
    const caller = authenticate(by(), bearer(script.token)) as PolicyCaller;
    expect(caller.name).toBe("token:script");
    expect(authenticate(by(ingest), bearer(script.token))).toBe(caller);
    expect(await thrownBy(() => authenticate(by(), bearer(newStaticToken().token)))).toBeKmsError("UNAUTHENTICATED");
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
    expect(await thrownBy(() => caller.credential!.check())).toMatchObject(expired);
  });

  it("ends when the policy says so", async () => {
    const { authenticate, by, world } = await start();
    const caller = authenticate(by(), bearer(script.token)) as PolicyCaller;
    expect(caller.credential!.untilMs).toBe(Date.parse("2026-03-02"));
    world.pass(caller.credential!.untilMs - startMs);
    expect(await thrownBy(() => caller.credential!.check())).toMatchObject(expired);
    expect(await thrownBy(() => authenticate(by(), bearer(script.token)))).toMatchObject(expired);
  });
});

it("a caller whom no rule names is known, and refused", async () => {
  const { authenticate, by, load } = await start();
  const caller = authenticate(by(ingest), []) as PolicyCaller;
  expect(checkKnown(caller)).toBe(caller);
  load({ rules: everyone.slice(1) });
  const error = (await thrownBy(() => checkKnown(caller))) as KmsError;
  expect(error).toBeKmsError("PERMISSION_DENIED", "no rule names this caller");
  expect(error.inLog).toBe("no rule names this caller: spiffe://example.org/ingest");
});
