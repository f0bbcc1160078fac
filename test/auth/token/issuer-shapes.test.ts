/**
 * Tokens in the shape that issuers' documentation shows, header and claims, signed by a key of the test: what a service
 * account, application or pipeline has must be accepted, and what the same issuer makes for a browser or for others
 * must not.
 */
import { afterEach, expect, it } from "vitest";
import { claimHas } from "../../../src/auth/policy/claims.ts";
import type { Identity } from "../../../src/auth/policy/identity.ts";
import { type Algorithm, type Json, sharedKey, tokenBy } from "../../support/signed-tokens.ts";
import { startMs, type World, worldOf } from "../../support/token-world.ts";

const now = startMs / 1_000;

interface Shape {
  of: string;
  /** The entry of a policy beside its name. */
  entry: Json;
  alg: Algorithm;
  header: Json;
  claims: Json;
  subject: string;
  /** Claims by which rules would match. */
  has: [name: string, text: string][];
  /** What makes another token of the same issuer of it, which is refused. */
  others: { header?: Json; claims?: Json }[];
}

const entraTenant = "0d2a5b1c-6f3e-4a7d-9b8c-1e2f3a4b5c6d";

const shapes: Shape[] = [
  {
    of: "a Kubernetes service account, projected and bound",
    entry: { issuer: "https://kubernetes.default.svc.cluster.local", audience: "fluo-kms" },
    alg: "RS256",
    header: { typ: undefined },
    claims: {
      aud: ["fluo-kms"],
      exp: now + 600,
      iat: now,
      iss: "https://kubernetes.default.svc.cluster.local",
      jti: "0b1c8d9e-54a7-4f0d-9e51-5c4a7e3f2a10",
      "kubernetes.io": {
        namespace: "acme",
        node: { name: "node-1", uid: "5f0b4a3e-1c2d-4e5f-8a9b-0c1d2e3f4a5b" },
        pod: { name: "backend-7d9c5b5d6f-abcde", uid: "9a8b7c6d-5e4f-4a3b-8c1d-0e9f8a7b6c5d" },
        serviceaccount: { name: "backend", uid: "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d" },
        warnafter: now + 500,
      },
      nbf: now,
      sub: "system:serviceaccount:acme:backend",
    },
    subject: "system:serviceaccount:acme:backend",
    has: [["/kubernetes.io/namespace", "acme"]],
    others: [
      { claims: { aud: ["https://kubernetes.default.svc.cluster.local"] } },
      // A token of old, from a secret: no audience, no end.
      { claims: { aud: undefined, exp: undefined, iat: undefined, iss: "kubernetes/serviceaccount" } },
    ],
  },
  {
    of: "a client of Keycloak with an audience mapper",
    entry: { issuer: "https://sso.example.org/realms/fluo", audience: "fluo-kms" },
    alg: "RS256",
    header: { typ: "JWT" },
    claims: {
      exp: now + 300,
      iat: now,
      jti: "trrtcc:3c1f0a6e-9f0b-4a6a-8d3e-7d6f1a2b3c4d",
      iss: "https://sso.example.org/realms/fluo",
      aud: ["fluo-kms", "account"],
      sub: "f1e2d3c4-b5a6-4798-8a9b-0c1d2e3f4a5b",
      typ: "Bearer",
      azp: "support-tool",
      acr: "1",
      "allowed-origins": ["/*"],
      realm_access: { roles: ["kms-support", "offline_access", "uma_authorization"] },
      resource_access: { account: { roles: ["manage-account", "view-profile"] } },
      scope: "profile email",
      clientHost: "10.0.0.7",
      email_verified: false,
      preferred_username: "service-account-support-tool",
      clientAddress: "10.0.0.7",
      client_id: "support-tool",
      kms_tenants: ["acme", "globex"],
    },
    subject: "f1e2d3c4-b5a6-4798-8a9b-0c1d2e3f4a5b",
    has: [
      ["/realm_access/roles", "kms-support"],
      ["kms_tenants", "globex"],
      ["scope", "email"],
    ],
    others: [
      { claims: { aud: "account" } },
      { claims: { typ: "ID", aud: "fluo-kms", at_hash: "oJ2fBzQyyW9kVv4pJq3hLg", sid: "x" } },
      { claims: { typ: "ID", aud: "fluo-kms" } },
      { claims: { typ: "Refresh", aud: "https://sso.example.org/realms/fluo" } },
      { claims: { typ: "Refresh", aud: "fluo-kms" } },
      { claims: { typ: "Logout", events: { "http://schemas.openid.net/event/backchannel-logout": {} } } },
    ],
  },
  {
    of: "an application of Entra, with a token of version 2",
    entry: {
      issuer: `https://login.microsoftonline.com/${entraTenant}/v2.0`,
      audience: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
    },
    alg: "RS256",
    header: { typ: "JWT", x5t: "H9nj5AOSswMphg1SFx7jaV-lB9w" },
    claims: {
      aud: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
      iss: `https://login.microsoftonline.com/${entraTenant}/v2.0`,
      iat: now,
      nbf: now,
      exp: now + 3_900,
      aio: "k2RgYHjEPWvWtc0p9wQmL8A=",
      azp: "a1b2c3d4-0000-4a5b-8c9d-0e1f2a3b4c5d",
      azpacr: "1",
      oid: "d3c2b1a0-1111-4a5b-8c9d-0e1f2a3b4c5d",
      rh: "1.AXEAHFsqDT5vfUqbjB4vOktcbSsXdG5WvkNIn_TmajK7EuM.",
      roles: ["Kms.Operate"],
      sub: "d3c2b1a0-1111-4a5b-8c9d-0e1f2a3b4c5d",
      tid: entraTenant,
      uti: "fqiBqXLPj0eQa82S-IYFAA",
      ver: "2.0",
    },
    subject: "d3c2b1a0-1111-4a5b-8c9d-0e1f2a3b4c5d",
    has: [["roles", "Kms.Operate"]],
    others: [
      { claims: { iss: `https://sts.windows.net/${entraTenant}/`, ver: "1.0" } },
      { claims: { iss: "https://login.microsoftonline.com/common/v2.0" } },
      { claims: { nonce: "678910", name: "Somebody" } },
      // For Microsoft's own Graph.
      { header: { nonce: "x" }, claims: { aud: "00000003-0000-0000-c000-000000000000" } },
    ],
  },
  {
    of: "a machine of Auth0, whose issuer ends in a slash",
    entry: { issuer: "https://example.eu.auth0.com/", audience: "https://kms.example.org" },
    alg: "RS256",
    header: { typ: "JWT" },
    claims: {
      iss: "https://example.eu.auth0.com/",
      sub: "AbC123@clients",
      aud: "https://kms.example.org",
      iat: now,
      exp: now + 86_400,
      scope: "sign verify",
      gty: "client-credentials",
      azp: "AbC123",
      "https://fluo.dev/tenant": "acme",
    },
    subject: "AbC123@clients",
    has: [
      ["scope", "sign"],
      ["https://fluo.dev/tenant", "acme"],
    ],
    others: [
      { claims: { iss: "https://example.eu.auth0.com" } },
      { claims: { aud: "AbC123", nonce: "n", sid: "s" } },
      { claims: { aud: "https://example.eu.auth0.com/userinfo" } },
    ],
  },
  {
    of: "a service account of Google, with an ID token for our audience",
    entry: { issuer: "https://accounts.google.com", audience: "fluo-kms" },
    alg: "RS256",
    header: { typ: "JWT" },
    claims: {
      aud: "fluo-kms",
      azp: "104857600000000000000",
      email: "job@project.iam.gserviceaccount.com",
      email_verified: true,
      exp: now + 3_600,
      iat: now,
      iss: "https://accounts.google.com",
      sub: "104857600000000000000",
    },
    subject: "104857600000000000000",
    has: [["email_verified", "true"]],
    others: [
      { claims: { iss: "accounts.google.com" } },
      { claims: { aud: "32555940559.apps.googleusercontent.com", at_hash: "oJ2fBzQyyW9kVv4pJq3hLg" } },
      { claims: { at_hash: "oJ2fBzQyyW9kVv4pJq3hLg" } },
    ],
  },
  {
    of: "a workflow of GitHub",
    entry: { issuer: "https://token.actions.githubusercontent.com", audience: "fluo-kms", "max-lifetime": "15m" },
    alg: "RS256",
    header: { typ: "JWT", x5t: "ykNaY4qM_ta4k2TgZOCEYLkcYlA" },
    claims: {
      actor: "octocat",
      actor_id: "12",
      aud: "fluo-kms",
      base_ref: "",
      event_name: "push",
      exp: now + 300,
      head_ref: "",
      iat: now,
      iss: "https://token.actions.githubusercontent.com",
      job_workflow_ref: "octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main",
      jti: "6b2f8a1e-0c4d-4e7f-9a5b-3c1d2e4f6a8b",
      nbf: now - 300,
      ref: "refs/heads/main",
      ref_type: "branch",
      repository: "octo-org/octo-repo",
      repository_id: "1304267049",
      repository_owner: "octo-org",
      repository_owner_id: "65",
      repository_visibility: "private",
      run_attempt: "2",
      run_id: "9876543210",
      runner_environment: "github-hosted",
      sub: "repo:octo-org/octo-repo:ref:refs/heads/main",
      workflow: "release",
    },
    subject: "repo:octo-org/octo-repo:ref:refs/heads/main",
    has: [
      ["repository_id", "1304267049"],
      ["ref", "refs/heads/main"],
    ],
    others: [{ claims: { aud: "https://github.com/octo-org" } }, { claims: { exp: now + 901 } }],
  },
  {
    of: "RFC 9068 §3, which lives 245 days",
    entry: {
      issuer: "https://authorization-server.example.com/",
      audience: "https://rs.example.com/",
      "max-lifetime": "250d",
    },
    alg: "RS256",
    header: { typ: "at+JWT" },
    claims: {
      iss: "https://authorization-server.example.com/",
      sub: "5ba552d67",
      aud: "https://rs.example.com/",
      exp: 1_639_528_912,
      iat: 1_618_354_090,
      jti: "dbe39bf3a3ba4238a513f51d6e1691c4",
      client_id: "s6BhdRkqt3",
      scope: "openid profile reademail",
    },
    subject: "5ba552d67",
    has: [["scope", "reademail"]],
    others: [{ claims: { iat: 1_618_354_090 - 86_400 * 10 } }],
  },
];

let world: World | undefined;
afterEach(() => world?.close());

it.each(shapes)("the token of $of is accepted, and its others are not", async (shape) => {
  const key = sharedKey(shape.alg, "RjEwOwOA");
  world = worldOf([{ name: "it", ...shape.entry }], { it: { keys: [key.jwk] } });
  // The example of the RFC is of its own time.
  const { iat } = shape.claims as { iat: number };
  world.pass((iat + 1) * 1_000 - startMs);
  const { identity } = await world.identify(tokenBy(key, shape.claims, shape.header));
  const { claims } = shape;
  expect(identity).toEqual({ kind: "jwt", issuer: "it", subject: shape.subject, claims } satisfies Identity);
  for (const [name, text] of shape.has) expect(claimHas(claims, name, text), name).toBe(true);
  for (const other of shape.others) {
    const token = tokenBy(key, { ...claims, ...other.claims }, { ...shape.header, ...other.header });
    await expect(world.identify(token)).rejects.toBeKmsError("UNAUTHENTICATED");
  }
});
