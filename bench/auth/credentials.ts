/** Callers of every kind, the policy that knows them, and its files in a directory. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { newAuthority } from "../../test/support/pki.ts";
import { type Algorithm, part, type TestKey, testKey, tokenBy } from "../../test/support/signed-tokens.ts";
import type { ServerKey } from "../server/empty.ts";
import { temporaryDirectory } from "../temporary.ts";

export const algorithms = ["RS256", "ES256", "EdDSA"] as const satisfies readonly Algorithm[];
export type TokenAlgorithm = (typeof algorithms)[number];

/** Kinds of credentials that are known by sight. */
export const known = ["certificate", "static", "jwt"] as const;
export type KnownCredential = (typeof known)[number];

export interface World {
  /** The service's own. */
  own: ServerKey;
  /** PEM of the authority of the service's certificate. */
  ca: string;
  /** PEM of the authority of the client's certificate. */
  mesh: string;
  certificate: { chain: string; key: string };
  staticToken: string;
  /** Good for an hour. */
  token(algorithm: TokenAlgorithm, subject: string): string;
  policy: { file: string; text: string };
  /** By which the service finds all of it. */
  tls: Record<string, string>;
  underPolicy: Record<string, string>;
  jwks: { keys: unknown[] };
}

const issuer = "https://sso.example.org";
const id = "spiffe://example.org/ns/fluo/sa/ingest";
/** So many claims make a token of RS256 as long as one of an identity provider: 950 bytes. */
const groups = ["support", "payments", "audit-readers", "kms-users"];

export function createWorld(): World {
  const dir = temporaryDirectory();
  const at = (name: string) => join(dir, name);
  const [server, mesh] = [newAuthority({ name: "server" }), newAuthority({ name: "mesh" })];
  const { chain, key } = server.issue({
    dns: ["localhost"],
    addresses: ["127.0.0.1"],
    extendedKeyUsage: ["serverAuth"],
  });
  const { chain: leaf, key: leafKey } = mesh.issue({ uris: [id] });
  const keys = Object.fromEntries(algorithms.map((each) => [each, testKey(each, each)])) as Record<
    TokenAlgorithm,
    TestKey
  >;
  const { token: staticToken, sha256 } = newStaticToken();
  const jwks = { keys: algorithms.map((each) => keys[each].jwk) };
  const text = policyText(sha256);
  const files = {
    "policy.yaml": text,
    "jwks.json": JSON.stringify(jwks),
    "mesh.pem": mesh.pem,
    "own.pem": chain,
    "own.key": key,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content, { mode: 0o600 });
  return {
    own: { certificate: chain, key },
    ca: server.pem,
    mesh: mesh.pem,
    staticToken,
    jwks,
    certificate: { chain: leaf, key: leafKey },
    token: (algorithm, subject) => tokenBy(keys[algorithm], claimsOf(subject)),
    policy: { file: at("policy.yaml"), text },
    tls: { FLUO_KMS_TLS_CERTIFICATE: at("own.pem"), FLUO_KMS_TLS_KEY: at("own.key") },
    underPolicy: { FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: at("policy.yaml") },
  };
}

function claimsOf(sub: string) {
  const iat = Math.floor(Date.now() / 1_000);
  const from = { iss: issuer, aud: "fluo-kms", azp: "payments-backend", sid: part(`session of ${sub}`) };
  const who = { sub, preferred_username: `${sub}@example.org`, realm_access: { roles: groups }, groups };
  return { ...from, ...who, jti: part(sub), scope: "openid profile email", iat, exp: iat + 3_600 };
}

/** Ten rules that are for others beside each caller's own. */
function policyText(sha256: string): string {
  const roles = ["generate-data-key", "sign", "encrypt"];
  const rule = (name: string, who: object) => ({ name, who, roles, tenants: "*" });
  const others = Array.from({ length: 10 }, (_, at) =>
    rule(`other-${at}`, { spiffe: `spiffe://example.org/other/${at}` }),
  );
  return JSON.stringify({
    version: "1",
    certificates: [{ name: "mesh", "trust-domain": "example.org", ca: "mesh.pem" }],
    issuers: [{ name: "sso", issuer, audience: "fluo-kms", "jwks-file": "jwks.json" }],
    tokens: [{ name: "script", sha256, expires: "2099-01-01" }],
    rules: [
      ...others,
      rule("ingest", { spiffe: id }),
      rule("people", { jwt: { issuer: "sso", claims: { "/realm_access/roles": "support" } } }),
      rule("script", { token: "script" }),
    ],
  });
}
