/** Callers that ask for what their rules do not give, on both ports: other tenants, claims that name none, rules that do not mix. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import type { Shown } from "../support/both-ports.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { type Json, signatureBy, signed } from "../support/signed-tokens.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { accepted, denied, noCredential, refusedBy, unnamed } from "../support/told.ts";

const rule = (name: string, who: string, roles: string, tenants: string) =>
  `  - { name: ${name}, who: { jwt: { issuer: sso, ${who} } }, roles: [${roles}], tenants: ${tenants} }\n`;

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    rules: [
      rule("one", "subject: one", "generate-data-key", "[acme]"),
      rule("prefix", "subject: prefix", "generate-data-key", '["acme-*"]'),
      rule("claimed", "subject: claimed", "generate-data-key", "{ claim: kms_tenants }"),
      rule("captured", 'subject: "app:{tenant}:backend"', "generate-data-key", '"{tenant}"'),
      rule("admins", "claims: { roles: kms-admin }", "generate-data-key", "[acme]"),
      rule("decrypts", "subject: two", "decrypt", "[acme]"),
      rule("signs", "subject: two", "sign", "[globex]"),
      rule("opens", "subject: mixed", "decrypt", '"*"'),
      rule("destroys", "subject: mixed", "destroy", "[acme]"),
      rule("signer", "subject: signer", "sign", '"*"'),
      rule("admin", "subject: admin", "encrypt, generate-data-key, mark-compromised", '"*"'),
      rule("reader", "subject: reader", "decrypt-data-key", "[acme]"),
      rule("breaker", "subject: breaker", "break-glass", "[acme]"),
      rule("rescuer", "subject: rescuer", "decrypt-data-key, break-glass", "[acme]"),
    ].join(""),
  });
  // A tenant that is there, and one that is not.
  const admin = by("admin");
  expect(await service.ask(admin, { tenantId: "globex" }, "generateDataKey")).toEqual(accepted);
});
afterAll(() => service.stop());

const by = (sub: string, claims: Json = {}): Shown => ({
  authorization: `Bearer ${service.token({ sub, ...claims })}`,
});
const dataKey = (shown: Shown, tenantId = "acme") => service.ask(shown, { tenantId }, "generateDataKey");
const deniedDataKey = denied("generate-data-key");

it("attack 45: headers of proxies and another authority have no effect", async () => {
  const certificate = "By=spiffe://example.org/kms;Hash=00;URI=spiffe://example.org/admin";
  const headers = {
    "x-forwarded-client-cert": certificate,
    "x-tenant": "globex",
    "x-tenant-id": "globex",
    "x-user": "admin",
    forwarded: "for=127.0.0.1;by=admin",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-user": "admin",
    "x-auth-request-user": "admin",
    "remote-user": "admin",
    "x-remote-user": "admin",
  };
  expect(await service.ask({ headers })).toEqual(noCredential);
  expect(await dataKey({ ...by("one"), headers })).toEqual(accepted);
  expect(await dataKey({ ...by("one"), headers }, "globex")).toEqual(deniedDataKey);

  const metadata = new grpc.Metadata();
  metadata.set("authorization", by("one").authorization!);
  const client = service.client();
  const request = (tenantId: string) => Buffer.from([0x0a, tenantId.length, ...Buffer.from(tenantId)]);
  const elsewhere = { host: "globex.example.org" };
  expect((await client.raw("generateDataKey", request("acme"), elsewhere, metadata)).length).toBeGreaterThan(0);
  await expect(client.raw("generateDataKey", request("globex"), elsewhere, metadata)).rejects.toMatchObject({
    code: grpc.status.PERMISSION_DENIED,
  });
  await expect(client.raw("generateDataKey", request("acme"), elsewhere)).rejects.toMatchObject({
    code: grpc.status.UNAUTHENTICATED,
  });
  client.close();
  const host = { servername: "localhost", headers: { host: "globex.example.org", ...headers } };
  expect((await service.http("/api/admin/kms/status", host)).status).toBe(401);
});

describe("attack 46: another tenant", () => {
  it.each<[string, string[], string]>([
    ["one", ["globex", "acmex", "acm", "acme-x", "acme.", "nobody-at-all"], "acme"],
    ["prefix", ["acme", "globex", "acmex", "acme.x", "acm", "nobody-at-all"], "acme-x"],
  ])("is denied %s by the same bytes, whether it is there or not", async (sub, others, own) => {
    const shown = by(sub);
    expect(await dataKey(shown, own)).toEqual(accepted);
    for (const port of ["grpc", "http"] as const) {
      const refusals = new Set<string>();
      for (const tenantId of others) {
        const { told, refusal } = await service.call(port, shown, { tenantId }, "generateDataKey");
        expect(told, tenantId).toMatchObject(deniedDataKey[port]);
        expect(refusal).not.toContain(tenantId);
        refusals.add(refusal);
      }
      expect([...refusals]).toHaveLength(1);
    }
  });
});

describe("attack 47: tenants of a claim", () => {
  it("are those that it names", async () => {
    const kms_tenants = ["globex", "acme", 7, "*"];
    expect(await dataKey(by("claimed", { kms_tenants }))).toEqual(accepted);
    expect(await dataKey(by("claimed", { kms_tenants }), "initech")).toEqual(deniedDataKey);
  });
});

describe("attack 48: a tenant of a name", () => {
  it("is the part that the rule captures, and no other", async () => {
    expect(await dataKey(by("app:acme:backend"))).toEqual(accepted);
    expect(await dataKey(by("app:acme:backend"), "globex")).toEqual(deniedDataKey);
  });
});

describe("attack 49: a claim", () => {
  it("of a rule is one of a list", async () => {
    expect(await dataKey(by("somebody", { roles: ["x", "kms-admin"] }))).toEqual(accepted);
  });

  it("is not met by an inherited member", async () => {
    const { kid } = service.key;
    const claims = JSON.stringify(service.claims({ sub: "somebody", x: 0 })).replace(
      '"x":0',
      '"__proto__":{"roles":"kms-admin"}',
    );
    const token = signed({ alg: "RS256", kid }, claims, signatureBy(service.key));
    expect(await dataKey({ authorization: `Bearer ${token}` })).toEqual(unnamed);
  });
});

const fields = [{ name: "email", token: "fk1.AAAA" }];

it("attack 51: roles of one rule and tenants of another do not mix", async () => {
  const two = by("two");
  expect(await service.ask(two, { fields }, "decryptPii")).toEqual(accepted);
  expect(await service.ask(two, { tenantId: "globex", span: plainSpan })).toEqual(accepted);
  expect(await service.ask(two, { tenantId: "globex", fields }, "decryptPii")).toEqual(denied("decrypt"));
  expect(await service.ask(two, { tenantId: "acme", span: plainSpan })).toEqual(denied("sign"));
});

it("attack 52: a caller whose rules add up to decrypt and destroy may not destroy, and operators hear of it", async () => {
  const mixed = by("mixed");
  const keyId = "0".repeat(32);
  const { scheduleKeyDestruction } = KeyAdminService.method;
  expect(await service.ask(mixed, { keyId }, scheduleKeyDestruction)).toEqual(denied("destroy"));
  expect(await service.ask(mixed, { fields }, "decryptPii")).toEqual(accepted);
  expect(service.log()).toContain("rules that add up give a caller roles that the policy keeps apart");
  const headers = { authorization: `Bearer ${service.tokens.auditor}` };
  const { body } = await service.http("/api/admin/kms/status", { headers });
  expect(body).toContain("jwt:sso:mixed is refused destroy");
});

describe("attack 54: a COMPROMISED key", () => {
  it("opens for decrypt with break-glass, and for neither alone", async () => {
    const made = await service.call("grpc", by("admin"), {}, "generateDataKey");
    const { keyId, ciphertextBlob, plaintext } = made.answer as Record<string, string>;
    service.canary(plaintext!);
    const opening = { ciphertextBlob: Buffer.from(ciphertextBlob!, "base64") };
    expect(await service.ask(by("reader"), opening, "decryptDataKey")).toEqual(accepted);
    const { markKeyCompromised } = KeyAdminService.method;
    const marked = await service.call("http", by("admin"), { keyId }, markKeyCompromised);
    expect(marked.told).toEqual(accepted.http);

    const alone = await service.ask(by("reader"), opening, "decryptDataKey");
    const { message } = alone.grpc;
    expect(message).toContain("break-glass");
    expect(alone).toEqual(refusedBy("KEY_UNUSABLE", message, "FAILED_PRECONDITION"));
    expect(await service.ask(by("breaker"), opening, "decryptDataKey")).toEqual(denied("decrypt-data-key"));
    expect(await service.ask(by("rescuer"), opening, "decryptDataKey")).toEqual(accepted);
  });
});

it("attack 55: a stream may not name another tenant later, though its caller may sign for both", async () => {
  const stream = service.stream(by("signer"));
  await stream.send(batchOf(spansFrom(0, 1), { tenantId: "acme" }));
  expect(await stream.nextResponse()).toMatchObject({ batchDone: true });
  await stream.send(batchOf(spansFrom(1, 2), { tenantId: "globex" }));
  expect(await stream.failure()).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, fields: ["tenant_id"] });
  stream.close();
});
