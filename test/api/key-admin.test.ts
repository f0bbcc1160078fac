/** Keys through their states, as callers see it. The rules themselves are tested in test/keys/lifecycle.test.ts. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { afterStep } from "../support/after-step.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { getJson, plainSpan, postJson } from "../support/api-fixture.ts";
import { msFromNow } from "../support/from-now.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const value = Buffer.from("ann@example.com");
let tenants = 0;

/** A new tenant with a token and a signed span. */
async function newTenant() {
  tenants += 1;
  const tenantId = `tenant-${tenants}`;
  const { fields, keyId } = await kms.grpc.encryptPii({ tenantId, fields: [{ name: "email", value }] });
  const { attributes, keyId: signingKeyId } = await kms.grpc.signSpan({ tenantId, span: plainSpan });
  return {
    tenantId,
    keyId,
    signingKeyId,
    encrypt: () => kms.grpc.encryptPii({ tenantId, fields: [{ name: "email", value }] }),
    sign: () => kms.grpc.signSpan({ tenantId, span: plainSpan }),
    decrypt: async () => (await kms.grpc.decryptPii({ tenantId, fields })).fields[0]!.result,
    reEncrypt: async () => (await kms.grpc.reEncryptPii({ tenantId, fields })).fields[0]!.result,
    verify: () => kms.grpc.verifySpan({ tenantId, span: { ...plainSpan, attributes } }),
  };
}

const opened = { case: "value", value };
const refused = { case: "error", value: { code: status.FAILED_PRECONDITION, field: "fields[0].token" } };

describe("a disabled key", () => {
  it("neither encrypts nor decrypts until it is enabled again", async () => {
    const { tenantId, keyId, encrypt, decrypt } = await newTenant();
    const { key } = await kms.grpc.admin.disableKey({ tenantId, keyId });
    expect(key).toMatchObject({ state: KeyState.DISABLED, previousState: KeyState.ACTIVE });
    expect(await failureOf(encrypt())).toMatchObject({ code: status.FAILED_PRECONDITION, reason: "KEY_UNUSABLE" });
    expect(await decrypt()).toMatchObject(refused);
    await kms.grpc.admin.enableKey({ tenantId, keyId });
    expect(await decrypt()).toEqual(opened);
    expect((await encrypt()).keyId).toBe(keyId);
  });

  it("does not come back as a second active key", async () => {
    const { tenantId, keyId, encrypt } = await newTenant();
    await kms.grpc.admin.disableKey({ tenantId, keyId });
    const { rotated } = await kms.grpc.rotate({ tenantId, force: true });
    const { key } = await kms.grpc.admin.enableKey({ tenantId, keyId });
    expect(key?.state).toBe(KeyState.RETIRED);
    expect(rotated.map((each) => each.key?.keyId)).toContain((await encrypt()).keyId);
  });

  it("still verifies, and the answer says in which state it is", async () => {
    const { tenantId, signingKeyId, sign, verify } = await newTenant();
    await kms.grpc.admin.disableKey({ tenantId, keyId: signingKeyId });
    expect(await failureOf(sign())).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(await verify()).toMatchObject({ verified: true, keyState: KeyState.DISABLED });
  });
});

describe("a compromised key", () => {
  it("is replaced at once, and its signatures do not verify any more", async () => {
    const { tenantId, signingKeyId, sign, verify } = await newTenant();
    const answer = await kms.grpc.admin.markKeyCompromised({ tenantId, keyId: signingKeyId });
    expect(answer.key?.state).toBe(KeyState.COMPROMISED);
    expect((await sign()).keyId).toBe(answer.replacement?.version?.keyId);
    expect(await verify()).toMatchObject({ verified: false, reason: VerifyReason.KEY_COMPROMISED });
  });

  it("gives its tokens up to the new key, by those who may break the glass", async () => {
    const { tenantId, keyId, decrypt, reEncrypt } = await newTenant();
    await kms.grpc.admin.markKeyCompromised({ tenantId, keyId });
    expect(await decrypt()).toEqual(opened); // with authentication none everybody has that role
    expect(await reEncrypt()).toMatchObject({ case: "token" });
  });

  it("is published as such, for those who verify offline", async () => {
    const { tenantId, signingKeyId } = await newTenant();
    await kms.grpc.admin.markKeyCompromised({ tenantId, keyId: signingKeyId });
    await kms.grpc.admin.scheduleKeyDestruction({ tenantId, keyId: signingKeyId });
    const { body } = await getJson(`${kms.url}/api/kms/tenants/${tenantId}/jwks.json`);
    const compromised_at = expect.stringMatching(/^20.*Z$/);
    expect(body.keys).toMatchObject([
      { kid: signingKeyId, state: "DESTROY_SCHEDULED", compromised_at },
      { version: 2 },
    ]);
    const [published] = (await kms.grpc.getPublicKeys({ tenantId })).keys;
    expect(published?.compromisedAt).toBeDefined();
  });

  it("never comes back", async () => {
    const { tenantId, keyId } = await newTenant();
    await kms.grpc.admin.markKeyCompromised({ tenantId, keyId });
    expect(await failureOf(kms.grpc.admin.enableKey({ tenantId, keyId }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
    });
    await kms.grpc.admin.scheduleKeyDestruction({ tenantId, keyId, days: 7 });
    const { key } = await kms.grpc.admin.cancelKeyDestruction({ tenantId, keyId });
    expect(key?.state).toBe(KeyState.COMPROMISED);
  });
});

describe("a key that is to be destroyed", () => {
  it("is of no use in the meantime but to verify, and can be had back", async () => {
    const { tenantId, keyId, signingKeyId, decrypt, verify } = await newTenant();
    const { key } = await kms.grpc.admin.scheduleKeyDestruction({ tenantId, keyId, days: 7 });
    const waits = Number(key!.destroyAt!.seconds) - msFromNow(0) / 1000;
    expect(waits / 86_400).toBeCloseTo(7, 2);
    expect(await decrypt()).toMatchObject(refused);
    await kms.grpc.admin.scheduleKeyDestruction({ tenantId, keyId: signingKeyId });
    expect(await verify()).toMatchObject({ verified: true, keyState: KeyState.DESTROY_SCHEDULED });
    await kms.grpc.admin.cancelKeyDestruction({ tenantId, keyId });
    await kms.grpc.admin.enableKey({ tenantId, keyId });
    expect(await decrypt()).toEqual(opened);
  });

  it("is counted before it happens", async () => {
    const { tenantId, keyId } = await newTenant();
    await kms.grpc.admin.scheduleKeyDestruction({ tenantId, keyId, days: 7 });
    const { body } = await getJson(`${kms.url}/api/admin/kms/status?tenant_id=${tenantId}`);
    expect(body.keys.data).toEqual({ DESTROY_SCHEDULED: 1 });
  });
});

describe("the audit trail", () => {
  it("tells who did what to which key, how often, and how it ended, but not with what", async () => {
    const { tenantId, keyId, decrypt, encrypt } = await newTenant();
    await encrypt();
    await kms.grpc.admin.disableKey({ tenantId, keyId, requestId: "ticket-7" });
    await decrypt();
    await failureOf(encrypt());
    const events = async () => (await kms.grpc.admin.listAuditEvents({ tenantId })).events;
    // A use of the same kind may be in a row of its own: rows are written every so often.
    const told = async () => {
      const times = new Map<string, bigint>();
      for (const { keyId, action, outcome, count } of (await events()).filter((row) => row.keyId !== "")) {
        const use = `${keyId} ${action} ${outcome}`;
        times.set(use, (times.get(use) ?? 0n) + count);
      }
      return [...times].map(([use, count]) => `${use.slice(keyId.length + 1)} ${count}`);
    };
    const uses = ["create OK 1", "encrypt_pii OK 2", "sign_span OK 1", "disable OK 1", "decrypt_pii KEY_UNUSABLE 1"];
    await afterStep("audit.flushed", async () => expect(await told()).toEqual(expect.arrayContaining(uses)));
    const refusals = async () => (await events()).filter((row) => row.action === "encrypt_pii" && row.outcome !== "OK");
    await afterStep("audit.flushed", async () => expect(await refusals()).toMatchObject([{ outcome: "KEY_UNUSABLE" }]));
    const rows = await events();
    expect(rows.find(({ action }) => action === "disable")).toMatchObject({
      actor: "anonymous",
      requestId: "ticket-7",
    });
    const text = JSON.stringify(rows, (_, member) => (typeof member === "bigint" ? `${member}` : member));
    expect(text).not.toContain(value.toString());
    expect(text).not.toContain(value.toString("base64"));
    expect(text).not.toContain("fk1.");
  });

  it("names the first keys of a flood that nobody has, and counts the rest", async () => {
    const { tenantId } = await newTenant();
    const keyIds = Array.from({ length: 64 }, (_, n) => n.toString(16).padStart(32, "0"));
    await Promise.all(keyIds.map((keyId) => failureOf(kms.grpc.admin.disableKey({ tenantId, keyId }))));
    const refusals = async () =>
      (await kms.grpc.admin.listAuditEvents({ tenantId })).events.filter(({ outcome }) => outcome === "NOT_FOUND");
    const isCounted = ({ keyId }: { keyId: string }) => keyId === "";
    await afterStep("audit.flushed", async () => expect((await refusals()).some(isCounted)).toBe(true));
    const rows = await refusals();
    const named = rows.filter((row) => !isCounted(row));
    // Those of other tests count, too, and the minute may end meanwhile.
    expect(named.length).toBeGreaterThan(0);
    expect(named.length).toBeLessThanOrEqual(2 * 16);
    expect(named.every(({ keyId, names, firstAt }) => keyIds.includes(keyId) && names === 0n && !firstAt)).toBe(true);
    const [counted] = rows.filter(isCounted);
    expect(counted).toMatchObject({ tenantId, action: "disable", names: counted!.count, detail: "" });
    expect(timestampMs(counted!.firstAt!)).toBeLessThanOrEqual(timestampMs(counted!.at!));
    const shown = await postJson(`${kms.url}/fluo.kms.v1.KeyAdminService/ListAuditEvents`, { tenantId });
    expect(shown.body.events).toContainEqual(
      expect.objectContaining({ action: "disable", names: `${counted!.names}`, firstAt: expect.stringMatching(/Z$/) }),
    );
  });

  it("verifies, and Status shows its head", async () => {
    const tenantIds = Array.from({ length: 11 }, (_, n) => `in-the-trail-${n}`);
    await Promise.all(tenantIds.map((each) => kms.grpc.generateDataKey({ tenantId: each })));
    const { ok, events, heads } = await kms.grpc.admin.verifyAudit({});
    expect(ok).toBe(true);
    expect(events).toBeGreaterThan(10n);
    const { audit } = await kms.grpc.status({});
    expect(heads.map(({ writerId }) => writerId)).toEqual([audit?.writerId]);
    expect(audit?.problem).toBe("");
  });
});
