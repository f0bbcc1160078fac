/** Who used which key how often, and who was refused: in the trail once, without content. */
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ListAuditEventsRequestSchema, VerifyAuditRequestSchema } from "../../gen/ts/fluo/kms/v1/audit_pb.ts";
import { DecryptDataKeyRequestSchema, GenerateDataKeyRequestSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { DisableKeyRequestSchema, ListKeysRequestSchema } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { StatusRequestSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import {
  DecryptPiiRequestSchema,
  EncryptPiiRequestSchema,
  ReEncryptPiiRequestSchema,
} from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { GetPublicKeysRequestSchema } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { RotateRequestSchema } from "../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import { SignSpanRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { decodeSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { call, setUp } from "../support/service-fixture.ts";

const tenantId = "acme";
const value = Buffer.from("ann@example.com");
const keyId = "0123456789abcdef".repeat(2);
const dataLoss = [1, "data loss"];

const encrypting = (values: Uint8Array[] = [value], tenant = tenantId) =>
  create(EncryptPiiRequestSchema, { tenantId: tenant, fields: values.map((value) => ({ name: "email", value })) });
const decrypting = (tokens: string[]) =>
  create(DecryptPiiRequestSchema, { tenantId, fields: tokens.map((token) => ({ name: "email", token })) });
const reEncrypting = (tokens: string[]) =>
  create(ReEncryptPiiRequestSchema, { tenantId, fields: tokens.map((token) => ({ name: "email", token })) });
const signingBytes = (tenant = tenantId) =>
  toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId: tenant, span: plainSpan }));
const signing = (tenant = tenantId) => decodeSignSpanRequest(signingBytes(tenant));
const generating = create(GenerateDataKeyRequestSchema, { tenantId });
const rotating = create(RotateRequestSchema, { tenantId, force: true });

const brief = ({ actor, action, tenantId, keyId, outcome, count }: AuditEvent) => ({
  actor,
  action,
  tenantId,
  keyId,
  outcome,
  count,
});

describe("a use of a key", () => {
  it("is in the trail with its caller, tenant, key, purpose and count", async () => {
    const { kms, rows } = setUp();
    const { keyId, fields } = await kms.encryptPii(encrypting([value, value, value]), call());
    await kms.decryptPii(decrypting(fields.map(({ token }) => token)), call({ name: "bob" }));
    const { ciphertextBlob } = await kms.generateDataKey(generating, call());
    await kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob }), call());
    for (let n = 0; n < 10; n++) await kms.signSpan(signing(), call());
    const { keyId: signingKeyId } = (await rows()).find(({ action }) => action === "sign_span")!;
    expect(signingKeyId).not.toBe(keyId);
    const data = { tenantId, keyId, purpose: "data", outcome: "OK" };
    expect(await rows()).toEqual(
      [
        { actor: "ann", action: "encrypt_pii", count: 3, ...data },
        { actor: "ann", action: "generate_data_key", count: 1, ...data },
        { actor: "ann", action: "decrypt_data_key", count: 1, ...data },
        { actor: "ann", action: "sign_span", count: 10, ...data, keyId: signingKeyId, purpose: "signing" },
        { actor: "bob", action: "decrypt_pii", count: 3, ...data },
      ].map((row) => expect.objectContaining(row)),
    );
  });

  it("of several keys in one call is one row a key", async () => {
    const { kms, rows } = setUp();
    const old = await kms.encryptPii(encrypting([value, value]), call());
    await kms.rotate(rotating, call());
    const young = await kms.encryptPii(encrypting([value]), call());
    const tokens = [...old.fields, ...young.fields].map(({ token }) => token);
    await kms.decryptPii(decrypting(tokens), call({ name: "reader" }));
    await kms.reEncryptPii(reEncrypting(tokens), call({ name: "mover" }));
    const mine = (await rows()).filter(({ actor }) => actor !== "ann");
    expect(mine.map(({ action, keyId, count }) => [action, keyId, count])).toEqual([
      ["decrypt_pii", old.keyId, 2],
      ["decrypt_pii", young.keyId, 1],
      ["re_encrypt_pii", old.keyId, 2],
      // It sealed all three, one of which it had opened.
      ["re_encrypt_pii", young.keyId, 3],
    ]);
  });

  it("counts its spans or PII fields, those that were refused too", async () => {
    const { kms, counts } = setUp();
    const { fields } = await kms.encryptPii(encrypting([value, value]), call());
    const tokens = [...fields.map(({ token }) => token), "no token"];
    await kms.decryptPii(decrypting(tokens), call());
    await kms.reEncryptPii(reEncrypting(tokens), call());
    await kms.generateDataKey(generating, call());
    await kms.signSpan(signing(), call());
    expect(counts).toEqual([
      [2, "encrypt"],
      [3, "decrypt"],
      [3, "re_encrypt"],
      [1, "individual"],
    ]);
  });

  it("answers at once when the key is at hand", async () => {
    const { kms } = setUp();
    await kms.encryptPii(encrypting(), call());
    await kms.signSpan(signing(), call());
    expect(kms.encryptPii(encrypting(), call())).not.toBeInstanceOf(Promise);
    expect(kms.generateDataKey(generating, call())).not.toBeInstanceOf(Promise);
    expect(kms.signSpan(signing(), call())).not.toBeInstanceOf(Promise);
  });

  it("is not what status and public keys are", async () => {
    const { kms, rows } = setUp();
    await kms.signSpan(signing(), call());
    const before = await rows();
    await kms.getPublicKeys(create(GetPublicKeysRequestSchema, { tenantId }), call());
    await kms.status(create(StatusRequestSchema, {}), call());
    expect(await rows()).toEqual(before);
  });

  it("does not happen while it could not be audited, but keys are still changed, and looked at", async () => {
    const { kms, admin, parts, trail, alarms, rows } = setUp();
    const { keyId } = await kms.encryptPii(encrypting(), call());
    await rows();
    const check = () => {
      throw new KmsError("AUDIT_UNAVAILABLE", "not now");
    };
    Object.assign(parts.observer, { check });
    const uses = [
      () => kms.encryptPii(encrypting(), call()),
      () => kms.decryptPii(decrypting(["x"]), call()),
      () => kms.reEncryptPii(reEncrypting(["x"]), call()),
      () => kms.generateDataKey(generating, call()),
      () => kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId }), call()),
      () => kms.signSpan(signing(), call()),
    ];
    const before = await rows();
    for (const use of uses) expect(await thrownBy(use)).toBeKmsError("AUDIT_UNAVAILABLE");
    expect(alarms).toEqual(uses.map(() => "suspect"));
    expect(await rows()).toEqual(before);
    await kms.getPublicKeys(create(GetPublicKeysRequestSchema, { tenantId }), call());
    await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId }), call());
    trail.check();
  });
});

describe("the rule that let a caller", () => {
  const ruled = (denied: readonly string[] = []) =>
    call({ rule: (role, tenant) => (denied.includes(role) ? undefined : `${role} of ${tenant ?? "all"}`) });

  it("is in every row of a use, a look and a change, by the role of the rpc", async () => {
    const { kms, admin, rows, store } = setUp();
    const sealed = await kms.encryptPii(encrypting(), ruled());
    const tokens = sealed.fields.map(({ token }) => token);
    await kms.decryptPii(decrypting(tokens), ruled());
    await kms.reEncryptPii(reEncrypting(tokens), ruled());
    const { ciphertextBlob } = await kms.generateDataKey(generating, ruled());
    await kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob }), ruled());
    await kms.signSpan(signing(), ruled());
    await kms.rotate(rotating, ruled());
    const { keyId } = sealed;
    await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId }), ruled());
    await admin.listKeys(create(ListKeysRequestSchema, { tenantId }), ruled());
    await admin.listKeys(create(ListKeysRequestSchema, {}), ruled());
    await admin.listAuditEvents(create(ListAuditEventsRequestSchema, {}), ruled());
    await admin.verifyAudit(create(VerifyAuditRequestSchema, {}), ruled());
    await rows();
    const all = await store.auditEvents({ limit: 100 });
    expect(new Set(all.map(({ action, rule }) => `${action}: ${rule}`))).toEqual(
      new Set([
        ...["create: encrypt of acme", "create: sign of acme", "encrypt_pii: encrypt of acme"],
        ...["decrypt_pii: decrypt of acme", "re_encrypt_pii: re-encrypt of acme"],
        ...["generate_data_key: generate-data-key of acme", "decrypt_data_key: decrypt-data-key of acme"],
        ...["sign_span: sign of acme", "retire: operate of acme", "rotate: operate of acme"],
        ...["disable: key-admin of acme", "list_keys: status of acme", "list_keys: status of all"],
        ...["list_audit_events: audit of all", "verify_audit: audit of all"],
      ]),
    );
  });

  it("is in the row of what the key's state refuses, and in none of what no rule allows", async () => {
    const { kms, admin, rows } = setUp();
    const { keyId, fields } = await kms.encryptPii(encrypting(), call());
    await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId }), call());
    await thrownBy(() => kms.encryptPii(encrypting(), ruled()));
    await kms.decryptPii(decrypting([fields[0]!.token]), ruled());
    const authorize = () => {
      throw new KmsError("PERMISSION_DENIED", "not yours");
    };
    await thrownBy(() => kms.signSpan(signing(), { ...ruled(), caller: { ...ruled().caller, authorize } }));
    await thrownBy(() => kms.signSpan(signing("not a tenant"), ruled()));
    const refusals = (await rows()).filter(({ outcome }) => outcome !== "OK");
    expect(refusals.map(({ action, outcome, rule }) => [action, outcome, rule])).toEqual([
      ["encrypt_pii", "KEY_UNUSABLE", "encrypt of acme"],
      ["decrypt_pii", "KEY_UNUSABLE", "decrypt of acme"],
      ["sign_span", "PERMISSION_DENIED", undefined],
      ["sign_span", "INVALID_ARGUMENT", undefined],
    ]);
  });
});

describe("a refusal", () => {
  const denied = {
    authorize(): never {
      throw new KmsError("PERMISSION_DENIED", "not yours");
    },
    require(): never {
      throw new KmsError("PERMISSION_DENIED", "not you");
    },
  };

  it("is in the trail once, by its code, whatever the call", async () => {
    const { kms, admin, rows } = setUp();
    const calls: [action: string, call: () => unknown][] = [
      ["encrypt_pii", () => kms.encryptPii(encrypting(), call(denied))],
      ["decrypt_pii", () => kms.decryptPii(decrypting(["x"]), call(denied))],
      ["re_encrypt_pii", () => kms.reEncryptPii(reEncrypting(["x"]), call(denied))],
      ["generate_data_key", () => kms.generateDataKey(generating, call(denied))],
      ["decrypt_data_key", () => kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId }), call(denied))],
      ["sign_span", () => kms.signSpan(signing(), call(denied))],
      ["rotate", () => kms.rotate(rotating, call(denied))],
      ["disable", () => admin.disableKey(create(DisableKeyRequestSchema, { tenantId }), call(denied))],
      ["list_keys", () => admin.listKeys(create(ListKeysRequestSchema, { tenantId }), call(denied))],
    ];
    for (const [, refused] of calls) await thrownBy(refused);
    expect((await rows()).map(brief)).toEqual(
      calls.map(([action]) => ({ actor: "ann", action, tenantId, keyId: "", outcome: "PERMISSION_DENIED", count: 1 })),
    );
  });

  it("names no tenant that is none, and no key that is none", async () => {
    const { kms, admin, rows } = setUp();
    await thrownBy(() => kms.encryptPii(encrypting([value], "Robert'); drop table"), call()));
    await thrownBy(() => kms.signSpan(signing("not a tenant"), call()));
    await thrownBy(() => kms.signSpan(decodeSignSpanRequest(Buffer.from("not a request")), call()));
    await thrownBy(() => admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId: "no key" }), call()));
    expect((await rows()).map(({ tenantId, keyId, outcome, count }) => [tenantId, keyId, outcome, count])).toEqual([
      ["", "", "INVALID_ARGUMENT", 1],
      ["", "", "INVALID_ARGUMENT", 2],
      [tenantId, "", "INVALID_ARGUMENT", 1],
    ]);
  });

  it("of one field among others names the key that its token names", async () => {
    const { kms, admin, rows, counts } = setUp();
    const old = await kms.encryptPii(encrypting(), call());
    await kms.rotate(rotating, call());
    const young = await kms.encryptPii(encrypting(), call());
    await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId: old.keyId }), call());
    const [oldToken, youngToken] = [old.fields[0]!.token, young.fields[0]!.token];
    const tokens = [oldToken, "no token", youngToken, oldToken, `${youngToken.slice(0, -8)}AAAAAAAA`];
    await kms.decryptPii(decrypting(tokens), call({ name: "reader" }));
    await kms.reEncryptPii(reEncrypting([oldToken]), call({ name: "mover" }));
    const mine = (await rows()).filter(({ actor }) => actor !== "ann");
    expect(mine.map(({ action, keyId, outcome, count }) => [action, keyId, outcome, count])).toEqual([
      ["decrypt_pii", young.keyId, "OK", 1],
      ["decrypt_pii", "", "CIPHERTEXT_REJECTED", 1],
      ["decrypt_pii", old.keyId, "KEY_UNUSABLE", 2],
      ["decrypt_pii", young.keyId, "CIPHERTEXT_REJECTED", 1],
      ["re_encrypt_pii", old.keyId, "KEY_UNUSABLE", 1],
    ]);
    expect(counts).not.toContainEqual(dataLoss);
  });

  it("of a data key names the key that the blob names, forged or not", async () => {
    const { kms, admin, rows } = setUp();
    const { ciphertextBlob, keyId } = await kms.generateDataKey(generating, call());
    const open = (blob: Uint8Array) =>
      kms.decryptDataKey(create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob: blob }), call());
    const flipped = Uint8Array.from(ciphertextBlob);
    flipped[3]! ^= 1;
    const madeUp = Buffer.from(flipped.subarray(2, 18)).toString("hex");
    await thrownBy(() => open(flipped));
    await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId }), call());
    await thrownBy(() => open(ciphertextBlob));
    const refusals = (await rows()).filter(({ outcome }) => outcome !== "OK");
    expect(refusals.map(({ keyId, outcome }) => [keyId, outcome])).toEqual([
      [madeUp, "CIPHERTEXT_REJECTED"],
      [keyId, "KEY_UNUSABLE"],
    ]);
  });

  it.each(["CANCELLED", "DEADLINE_EXCEEDED", "OVERLOADED", "RATE_LIMITED", "INTERNAL", "AUDIT_UNAVAILABLE"] as const)(
    "is not what %s is",
    async (code) => {
      const { parts, rows } = setUp();
      parts.observer.failed({ actor: "ann", action: "sign_span", tenantId, keyId }, new KmsError(code, "as told"));
      parts.observer.failed({ actor: "ann", action: "sign_span", tenantId, keyId }, new TypeError("a bug"));
      expect(await rows()).toEqual([]);
    },
  );
});

describe("rotation", () => {
  const failing = (code: KmsErrorCode) =>
    setUp((store) => ({
      async activate(activation) {
        if (activation.expect === "no-version") return store.activate(activation);
        throw new KmsError(code, `the record of ${tenantId} is damaged`);
      },
    }));

  it("tells each key that failed, though the call succeeds", async () => {
    const { kms, rows } = failing("CONFLICT");
    await kms.encryptPii(encrypting(), call());
    const { failed } = await kms.rotate(rotating, call({ name: "operator" }));
    expect(failed).toHaveLength(1);
    expect((await rows()).filter(({ actor }) => actor === "operator").map(brief)).toMatchObject([
      { action: "rotate", tenantId, outcome: "CONFLICT", count: 1 },
    ]);
  });

  it("raises the alarm for a key whose record is damaged", async () => {
    const { kms, alarms, counts } = failing("DATA_LOSS");
    await kms.encryptPii(encrypting(), call());
    await kms.rotate(rotating, call());
    expect(alarms).toEqual([`lost: the record of ${tenantId} is damaged`]);
    expect(counts.filter(([, of]) => of === "data loss")).toEqual([dataLoss]);
  });
});

describe("an alarm", () => {
  it("is raised by a store that does not answer, and by damage, whatever the call", async () => {
    const failure = { code: "STORE_UNAVAILABLE" as KmsErrorCode };
    const { kms, alarms, counts } = setUp(() => ({
      async list() {
        throw new KmsError(failure.code, "as told");
      },
      async active() {
        throw new KmsError(failure.code, "as told");
      },
    }));
    const asking = create(GetPublicKeysRequestSchema, { tenantId });
    await thrownBy(() => kms.getPublicKeys(asking, call()));
    await thrownBy(() => kms.encryptPii(encrypting(), call()));
    failure.code = "DATA_LOSS";
    await thrownBy(() => kms.getPublicKeys(asking, call()));
    await thrownBy(() => kms.encryptPii(encrypting(), call()));
    expect(alarms).toEqual(["suspect", "suspect", "lost: as told", "lost: as told"]);
    expect(counts).toEqual([dataLoss, dataLoss]);
  });
});

describe("whoever looks at keys and at the trail", () => {
  it("is in the trail", async () => {
    const { admin, rows } = setUp();
    await admin.listKeys(create(ListKeysRequestSchema, { tenantId }), call());
    await admin.listAuditEvents(create(ListAuditEventsRequestSchema, {}), call());
    await admin.verifyAudit(create(VerifyAuditRequestSchema, {}), call());
    expect((await rows()).map(brief)).toEqual([
      { actor: "ann", action: "list_keys", tenantId, keyId: "", outcome: "OK", count: 1 },
      { actor: "ann", action: "list_audit_events", tenantId: "", keyId: "", outcome: "OK", count: 1 },
      { actor: "ann", action: "verify_audit", tenantId: "", keyId: "", outcome: "OK", count: 1 },
    ]);
  });
});

describe("the trail", () => {
  it("holds no values, tokens, contexts, blobs or spans, of what succeeds and of what is refused", async () => {
    const { kms, rows } = setUp();
    const secret = "a-secret-value-of-a-person";
    const encryptionContext = { "secret-pair": "secret-of-pair" };
    const fields = [{ name: "secret-field", value: Buffer.from(secret) }];
    const sealed = await kms.encryptPii(
      create(EncryptPiiRequestSchema, { tenantId, fields, encryptionContext }),
      call(),
    );
    const token = sealed.fields[0]!.token;
    await kms.decryptPii(decrypting([token, `${token}A`]), call());
    await kms.generateDataKey(create(GenerateDataKeyRequestSchema, { tenantId, encryptionContext }), call());
    await thrownBy(() =>
      kms.decryptDataKey(
        create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob: Buffer.from(secret) }),
        call(),
      ),
    );
    await kms.signSpan(signing(), call());
    await thrownBy(() => kms.signSpan(decodeSignSpanRequest(Buffer.from(secret)), call()));
    const text = JSON.stringify(await rows());
    for (const content of ["secret", token.slice(5, 45), plainSpan.name, plainSpan.traceId.toString("hex")]) {
      expect(text).not.toContain(content);
    }
  });
});

describe("the tenant of a SignSpan request", () => {
  const tenantOf = (bytes: Uint8Array) => decodeSignSpanRequest(bytes).tenantId;
  const field = (tag: number, text: string) => Buffer.from([tag, text.length, ...Buffer.from(text)]);

  it("is found in whatever order its fields are", () => {
    expect(tenantOf(signingBytes())).toBe(tenantId);
    expect(tenantOf(Buffer.concat([field(0x1a, ""), field(0x12, "zz"), field(0x0a, tenantId)]))).toBe(tenantId);
  });

  it("is empty where there is none, or nothing can be read", () => {
    for (const bytes of [[], [0x0a], [0x0a, 0x7f, 1], [0x12, 0], [0x08, 1], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]) {
      expect(tenantOf(Uint8Array.from(bytes))).toBe("");
    }
  });

  it("is not looked for behind more fields than a request has", () => {
    expect(tenantOf(Buffer.concat([...Array(5).fill(field(0x12, "")), field(0x0a, tenantId)]))).toBe("");
  });

  it("is the first where there are two, of which the second is refused", () => {
    const { tenantId: tenant, refusal } = decodeSignSpanRequest(Buffer.concat([signingBytes(), field(0x0a, "other")]));
    expect(tenant).toBe(tenantId);
    expect(refusal).toMatchObject({ code: "INVALID_ARGUMENT", violations: [{ field: "tenant_id" }] });
  });
});
