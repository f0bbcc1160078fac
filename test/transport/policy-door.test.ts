/** When a connection is known: by its certificate alone, unless a rule demands a token of it. */
import { expect, it } from "vitest";
import { createAuthenticator, type Loaded } from "../../src/auth/authenticator.ts";
import { callerCounts } from "../../src/auth/caller-counts.ts";
import { createDemands, createMatcher } from "../../src/auth/policy/grants.ts";
import { newStaticToken, staticTokens } from "../../src/auth/token/static-token.ts";
import { realTime } from "../../src/runtime/time.ts";
import { policyDoor } from "../../src/transport/policy-door.ts";
import { msFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { policyOf } from "../support/policy-fixture.ts";
import { thrownBy } from "../support/matchers.ts";

const mesh = newAuthority({ name: "mesh" });
const script = newStaticToken();
const gives = `  - { name: gateway, who: { spiffe: "spiffe://example.org/gateway" }, roles: [sign], tenants: [acme] }
  - { name: script, who: { token: script }, roles: [sign], tenants: [acme] }
`;
const demands = '  - { name: gate, who: { spiffe: "spiffe://example.org/gateway" }, token: required }\n';

function loadedFrom(rules: string): Loaded {
  const policy = policyOf(`version: 1
certificates: [{ name: mesh, trust-domain: example.org, ca: /mesh.pem }]
tokens: [{ name: script, sha256: ${script.sha256}, expires: 2099-01-01 }]
rules:
${rules}`);
  return {
    separation: true,
    grantsOf: createMatcher(policy.rules),
    tokenDemandOn: createDemands(policy.rules),
    staticTokens: staticTokens(policy.tokens, () => msFromNow(0)),
    authorities: [{ entry: policy.certificates[0]!, roots: [mesh.x509], lists: [] }],
  };
}

it("is known by its certificate as policies change, and open all the while", async () => {
  let loaded = loadedFrom(gives);
  const identify = () => {
    throw new Error("no JWT is shown");
  };
  const door = policyDoor({
    authenticator: createAuthenticator({
      loaded: () => loaded,
      tokens: { identify, size: () => 0 },
      now: () => msFromNow(0),
    }),
    seen: callerCounts(),
    open: [],
    connectionMaxAgeMs: 3_600_000,
    policySha256: () => "",
    subscribe() {},
    time: realTime,
  });
  const { x509 } = mesh.issue({ uris: ["spiffe://example.org/gateway"] });
  const socket = { authorized: true, getPeerX509Certificate: () => x509, remoteAddress: "192.0.2.1" };
  const connection = door.connect(socket);
  const token = [`Bearer ${script.token}`];
  expect(connection.isKnown()).toBe(true);

  loaded = loadedFrom(gives + demands);
  expect(connection.isKnown()).toBe(false);
  expect([connection.hasCertificate(), connection.isRefused(), connection.hasLost()]).toEqual([true, false, false]);
  expect(await thrownBy(() => door.enter(connection, []))).toBeKmsError("UNAUTHENTICATED");
  expect(await thrownBy(() => door.identify(connection, []))).toBeKmsError("UNAUTHENTICATED");
  expect(await door.enter(connection, token)).toHaveProperty("name", "token:script");
  expect(door.connect(socket).isKnown()).toBe(false);

  loaded = loadedFrom(demands);
  expect(connection.isKnown()).toBe(false);
  loaded = loadedFrom(gives);
  expect(connection.isKnown()).toBe(true);
});
