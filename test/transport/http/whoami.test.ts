/** `GET /api/kms/whoami`: its own name and grants to every caller, and nothing to a stranger. */
import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { Identity } from "../../../src/auth/policy/identity.ts";
import { roles } from "../../../src/call/roles.ts";
import { type DoorOptions, underPolicy } from "../../support/policy-door.ts";
import { sha256 as policySha256 } from "../../support/policy-fixture.ts";
import { startTransports, type TransportOptions } from "../../support/transports-fixture.ts";

const policy = `
version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: /ca.pem }
  - { name: web, ca: /web.pem, dns: [.example.org] }
issuers:
  - { name: sso, issuer: "https://sso.example.org", audience: fluo-kms }
tokens:
  - { name: ops, sha256: "${"0".repeat(64)}" }
rules:
  - { name: ingest, who: { spiffe: "spiffe://example.org/ingest" }, roles: [encrypt, sign], tenants: "*" }
  - name: portal
    who: { dns: { certificates: web, name: "{tenant}.example.org" } }
    roles: [verify]
    tenants: { captured: [globex, acme-*] }
  - { name: support, who: { jwt: { issuer: sso, subject: ann } }, roles: [decrypt], tenants: [acme, globex-*] }
  - { name: support-metrics, who: { jwt: { issuer: sso, subject: ann } }, roles: [metrics], tenants: "*" }
  - { name: operators, who: { token: ops }, roles: [status], tenants: "*" }
`;
const withoutOperators = policy.replace("token: ops }, roles: [status]", "token: ops }, roles: [operate]");

const callers = {
  ingest: { kind: "spiffe", id: "spiffe://example.org/ingest" },
  portal: { kind: "dns", certificates: "web", names: ["acme-eu.example.org"] },
  ann: { kind: "jwt", issuer: "sso", subject: "ann", claims: {} },
  bob: { kind: "jwt", issuer: "sso", subject: "bob", claims: {} },
  ops: { kind: "token", token: "ops" },
} satisfies Record<string, Identity>;

async function start({ door }: TransportOptions = {}) {
  const status = () => create(StatusResponseSchema);
  const transports = await startTransports({ status }, door === undefined ? {} : { door });
  onTestFinished(() => transports.stop());
  const ask = (who?: string, path = "/api/kms/whoami", method = "GET") =>
    fetch(transports.url + path, { method, headers: who === undefined ? {} : { authorization: `Bearer ${who}` } });
  return { ask, whoami: async (who?: string) => (await ask(who)).json(), logged: transports.logged };
}

function startUnder(options: Partial<DoorOptions> = {}) {
  return start({ door: underPolicy({ policy, callers, ...options }).door });
}

const token = { kind: "token", name: "token:ops", policy_sha256: policySha256 };

it("tells callers of each kind their name, and what each rule gives them", async () => {
  const { whoami } = await startUnder();
  expect(await whoami("ingest")).toEqual({
    name: "spiffe://example.org/ingest",
    kind: "spiffe",
    policy_sha256: policySha256,
    grants: [{ rule: "ingest", roles: ["sign", "encrypt"], tenants: ["*"] }],
  });
  expect(await whoami("portal")).toEqual({
    name: "dns:web:acme-eu.example.org",
    kind: "dns",
    policy_sha256: policySha256,
    grants: [{ rule: "portal", roles: ["verify"], tenants: ["acme-eu"] }],
  });
  expect(await whoami("ann")).toEqual({
    name: "jwt:sso:ann",
    kind: "jwt",
    policy_sha256: policySha256,
    grants: [
      { rule: "support", roles: ["decrypt"], tenants: ["acme", "globex-*"] },
      { rule: "support-metrics", roles: ["metrics"], tenants: ["*"] },
    ],
  });
  expect(await whoami("ops")).toEqual({ ...token, grants: [{ rule: "operators", roles: ["status"], tenants: ["*"] }] });
});

it("says until when the credential is good, to the millisecond", async () => {
  const { whoami } = await startUnder({ untilMs: Date.UTC(2027, 5, 30, 12, 0, 0, 5) });
  expect(await whoami("ops")).toMatchObject({ until: "2027-06-30T12:00:00.005Z" });
  const { whoami: far } = await startUnder({ untilMs: Date.UTC(9999, 11, 31) - 1 });
  expect(await far("ops")).toMatchObject({ until: "9999-12-30T23:59:59.999Z" });
});

it.each([Number.POSITIVE_INFINITY, Date.UTC(9999, 11, 31)])(
  "says nothing of that where it ends at %d",
  async (untilMs) => {
    const { whoami } = await startUnder({ untilMs });
    expect(await whoami("ops")).not.toHaveProperty("until");
  },
);

it("answers a caller whom no rule names, who gets nothing else", async () => {
  const { ask, whoami } = await startUnder();
  expect(await whoami("bob")).toEqual({ name: "jwt:sso:bob", kind: "jwt", grants: [], policy_sha256: policySha256 });
  const refused = await ask("bob", "/api/admin/kms/status");
  expect([refused.status, await refused.json()]).toEqual([
    403,
    { code: "PERMISSION_DENIED", message: "no rule names this caller", fields: [] },
  ]);
});

it.each([
  ["no credential", undefined, "no credential"],
  ["a token that is not accepted", "forged", "the token is not accepted"],
])("refuses a stranger with %s", async (_, who, message) => {
  const { ask } = await startUnder({ open: ["health", "metrics", "public-keys", "reflection"] });
  const answer = await ask(who);
  expect([answer.status, answer.headers.get("www-authenticate"), await answer.json()]).toEqual([
    ...[401, "Bearer"],
    { code: "UNAUTHENTICATED", message, fields: [] },
  ]);
});

it("follows the policy at once", async () => {
  const { door, load } = underPolicy({ policy, callers });
  const { whoami } = await start({ door });
  expect(await whoami("ops")).toMatchObject({ grants: [{ roles: ["status"] }] });
  load(withoutOperators);
  expect(await whoami("ops")).toMatchObject({ grants: [{ roles: ["operate"] }] });
});

it("is asked by GET alone, at its very path", async () => {
  const { ask } = await startUnder();
  const other = await ask("bob", "/api/kms/whoami", "POST");
  expect([other.status, other.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  expect((await ask("bob", "/api/kms/whoami/")).status).toBe(403);
  expect((await ask("ops", "/api/kms/whoami/")).status).toBe(404);
  expect((await ask("ops", "/x/api/kms/whoami")).status).toBe(404);
});

it("says without authentication that everybody is anonymous and may do everything", async () => {
  const { ask, whoami } = await start();
  const all = { name: "anonymous", kind: "anonymous", grants: [{ roles, tenants: ["*"] }] };
  expect(await whoami()).toEqual(all);
  expect(await whoami("whatever")).toEqual(all);
  expect((await ask()).headers.get("cache-control")).toBe("no-store");
});

it("logs nothing of a token", async () => {
  const { ask, logged } = await startUnder();
  await ask("canary-1234567890");
  expect(logged.join("")).not.toContain("canary");
});
