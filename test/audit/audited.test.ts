/** Who used which key how often, and who was refused: in the trail once, without content. */
import { create, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { Caller } from "../../src/call/context.ts";
import type { MaybePromise } from "../../src/call/maybe-promise.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { decodeSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { call, setUp as setUpService } from "../support/service-fixture.ts";

const methods = { ...KmsService.method, ...KeyAdminService.method };
type Rpc = Exclude<keyof typeof methods, "signSpans">;
type Answer<Name extends Rpc> = MaybePromise<MessageShape<(typeof methods)[Name]["output"]>>;

const tenantId = "acme";
const keyId = "0123456789abcdef".repeat(2);
const dataLoss = [1, "data loss"];
const values = (count: number) => ({ fields: Array(count).fill({ name: "email", value: Buffer.from("ann@x.org") }) });
const tokens = (...all: string[]) => ({ fields: all.map((token) => ({ name: "email", token })) });

/** `ask` asks a handler for acme, by ann unless the caller is another. */
function setUp(wrap?: Parameters<typeof setUpService>[0]) {
  const service = setUpService(wrap);
  const handlers = { ...service.kms, ...service.admin } as Record<Rpc, (request: never, by: object) => unknown>;
  function ask<Name extends Rpc>(rpc: Name, fields: object = {}, caller: Partial<Caller> = {}): Answer<Name> {
    const { input } = methods[rpc];
    const span = rpc === "signSpan" && { span: plainSpan };
    const request = create(input, { ...("tenantId" in input.field && { tenantId }), ...span, ...fields } as never);
    const decoded = rpc === "signSpan" ? decodeSignSpanRequest(toBinary(input, request)) : request;
    return handlers[rpc](decoded as never, call(caller)) as Answer<Name>;
  }
  return { ...service, ask };
}

/** One use of each kind: a row of each in the trail. */
async function useEach(ask: ReturnType<typeof setUp>["ask"], caller: Partial<Caller> = {}) {
  const { keyId, fields } = await ask("encryptPii", values(1), caller);
  const sealed = tokens(...fields.map(({ token }) => token));
  await ask("decryptPii", sealed, caller);
  await ask("reEncryptPii", sealed, caller);
  const { ciphertextBlob } = await ask("generateDataKey", {}, caller);
  await ask("decryptDataKey", { ciphertextBlob }, caller);
  await ask("signSpan", {}, caller);
  return keyId;
}
const uses = ["encryptPii", "decryptPii", "reEncryptPii", "generateDataKey", "decryptDataKey", "signSpan"] as const;

describe("a use of a key", () => {
  it("is in the trail with its caller, tenant, key, purpose and count", async () => {
    const { ask, rows } = setUp();
    const { keyId, fields } = await ask("encryptPii", values(3));
    await ask("decryptPii", tokens(...fields.map(({ token }) => token)), { name: "bob" });
    const { ciphertextBlob } = await ask("generateDataKey");
    await ask("decryptDataKey", { ciphertextBlob });
    for (let n = 0; n < 10; n++) await ask("signSpan");
    const found = await rows();
    const signing = found.find(({ action }) => action === "sign_span")!.keyId;
    expect(signing).not.toBe(keyId);
    const data = { tenantId, keyId, purpose: "data", outcome: "OK" };
    expect(found).toMatchObject([
      { actor: "ann", action: "encrypt_pii", count: 3, ...data },
      { actor: "ann", action: "generate_data_key", count: 1, ...data },
      { actor: "ann", action: "decrypt_data_key", count: 1, ...data },
      { actor: "ann", action: "sign_span", count: 10, ...data, keyId: signing, purpose: "signing" },
      { actor: "bob", action: "decrypt_pii", count: 3, ...data },
    ]);
  });

  it("of several keys in one call is one row a key", async () => {
    const { ask, rows } = setUp();
    const old = await ask("encryptPii", values(2));
    await ask("rotate", { force: true });
    const young = await ask("encryptPii", values(1));
    const both = tokens(...[...old.fields, ...young.fields].map(({ token }) => token));
    await ask("decryptPii", both, { name: "reader" });
    await ask("reEncryptPii", both, { name: "mover" });
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
    const { ask, counts } = setUp();
    const { fields } = await ask("encryptPii", values(2));
    const some = tokens(...fields.map(({ token }) => token), "no token");
    await ask("decryptPii", some);
    await ask("reEncryptPii", some);
    await ask("generateDataKey");
    await ask("signSpan");
    expect(counts).toEqual([
      [2, "encrypt"],
      [3, "decrypt"],
      [3, "re_encrypt"],
      [1, "individual"],
    ]);
  });

  it("answers at once when the key is at hand", async () => {
    const { ask } = setUp();
    await useEach(ask);
    expect(ask("encryptPii", values(1))).not.toBeInstanceOf(Promise);
    expect(ask("generateDataKey")).not.toBeInstanceOf(Promise);
    expect(ask("signSpan")).not.toBeInstanceOf(Promise);
  });

  it("does not happen while it could not be audited, but keys are still changed, and looked at", async () => {
    const { ask, parts, trail, alarms, rows } = setUp();
    const keyId = await useEach(ask);
    const before = await rows();
    const check = () => {
      throw new KmsError("AUDIT_UNAVAILABLE", "not now");
    };
    Object.assign(parts.observer, { check });
    for (const rpc of uses) expect(await thrownBy(() => ask(rpc))).toBeKmsError("AUDIT_UNAVAILABLE");
    expect(alarms).toEqual(uses.map(() => "suspect"));
    await ask("getPublicKeys");
    await ask("status");
    await ask("disableKey", { keyId });
    // Nor are status and public keys uses.
    expect(await rows()).toEqual([...before, expect.objectContaining({ action: "disable" })]);
    trail.check();
  });
});

describe("the rule that let a caller", () => {
  const rule: Caller["rule"] = (role, tenant) => `${role} of ${tenant ?? "all"}`;

  it("is in every row of a use, a look and a change, by the role of the rpc", async () => {
    const { ask, rows, store } = setUp();
    const keyId = await useEach(ask, { rule });
    await ask("rotate", { force: true }, { rule });
    await ask("disableKey", { keyId }, { rule });
    await ask("listKeys", {}, { rule });
    for (const rpc of ["listKeys", "listAuditEvents", "verifyAudit"] as const) {
      await ask(rpc, rpc === "verifyAudit" ? {} : { tenantId: "" }, { rule });
    }
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
    const looks = all.filter(({ action }) => action === "list_keys" || action === "verify_audit");
    expect(looks.map(({ actor, tenantId, outcome, count }) => [actor, tenantId, outcome, count])).toEqual([
      ["ann", "acme", "OK", 1],
      ["ann", "", "OK", 1],
      ["ann", "", "OK", 1],
    ]);
  });

  it("is in the row of what the key's state refuses, and in none of what no rule allows", async () => {
    const { ask, rows } = setUp();
    const { keyId, fields } = await ask("encryptPii", values(1));
    await ask("disableKey", { keyId });
    const authorize = () => {
      throw new KmsError("PERMISSION_DENIED", "not yours");
    };
    await thrownBy(() => ask("encryptPii", values(1), { rule }));
    await ask("decryptPii", tokens(fields[0]!.token), { rule });
    await thrownBy(() => ask("signSpan", {}, { rule, authorize }));
    await thrownBy(() => ask("signSpan", { tenantId: "not a tenant" }, { rule }));
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
  it("names no tenant that is none, and no key that is none", async () => {
    const { ask, kms, rows } = setUp();
    await thrownBy(() => ask("encryptPii", { ...values(1), tenantId: "Robert'); drop table" }));
    await thrownBy(() => ask("signSpan", { tenantId: "not a tenant" }));
    await thrownBy(() => kms.signSpan(decodeSignSpanRequest(Buffer.from("not a request")), call()));
    await thrownBy(() => ask("disableKey", { keyId: "no key" }));
    expect((await rows()).map(({ tenantId, keyId, outcome, count }) => [tenantId, keyId, outcome, count])).toEqual([
      ["", "", "INVALID_ARGUMENT", 1],
      ["", "", "INVALID_ARGUMENT", 2],
      [tenantId, "", "INVALID_ARGUMENT", 1],
    ]);
  });

  it("of one field among others names the key that its token names", async () => {
    const { ask, rows, counts } = setUp();
    const old = await ask("encryptPii", values(1));
    await ask("rotate", { force: true });
    const young = await ask("encryptPii", values(1));
    await ask("disableKey", { keyId: old.keyId });
    const [oldToken, youngToken] = [old.fields[0]!.token, young.fields[0]!.token];
    const forged = `${youngToken.slice(0, -8)}AAAAAAAA`;
    await ask("decryptPii", tokens(oldToken, "no token", youngToken, oldToken, forged), { name: "reader" });
    await ask("reEncryptPii", tokens(oldToken), { name: "mover" });
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
    const { ask, rows } = setUp();
    const { ciphertextBlob, keyId } = await ask("generateDataKey");
    const flipped = Uint8Array.from(ciphertextBlob);
    flipped[3]! ^= 1;
    const madeUp = Buffer.from(flipped.subarray(2, 18)).toString("hex");
    await thrownBy(() => ask("decryptDataKey", { ciphertextBlob: flipped }));
    await ask("disableKey", { keyId });
    await thrownBy(() => ask("decryptDataKey", { ciphertextBlob }));
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

it.each<[KmsErrorCode, alarms: string[], counts: unknown[]]>([
  ["CONFLICT", [], []],
  ["DATA_LOSS", [`lost: the record of ${tenantId} is damaged`], [dataLoss]],
])("a rotation tells each key that failed with %s, though the call succeeds", async (code, alarmed, counted) => {
  const { ask, rows, alarms, counts } = setUp((store) => ({
    async activate(activation) {
      if (activation.expect === "no-version") return store.activate(activation);
      throw new KmsError(code, `the record of ${tenantId} is damaged`);
    },
  }));
  await ask("encryptPii", values(1));
  const { failed } = await ask("rotate", { force: true }, { name: "operator" });
  expect(failed).toHaveLength(1);
  expect((await rows()).filter(({ actor }) => actor === "operator")).toMatchObject([
    { action: "rotate", tenantId, outcome: code, count: 1 },
  ]);
  expect(alarms).toEqual(alarmed);
  expect(counts.filter(([, of]) => of === "data loss")).toEqual(counted);
});

it("an alarm is raised by a store that does not answer, and by damage, whatever the call", async () => {
  let code: KmsErrorCode = "STORE_UNAVAILABLE";
  const fails = async () => {
    throw new KmsError(code, "as told");
  };
  const { ask, alarms, counts } = setUp(() => ({ list: fails, active: fails }));
  const askBoth = async () => {
    await thrownBy(() => ask("getPublicKeys"));
    await thrownBy(() => ask("encryptPii", values(1)));
  };
  await askBoth();
  code = "DATA_LOSS";
  await askBoth();
  expect(alarms).toEqual(["suspect", "suspect", "lost: as told", "lost: as told"]);
  expect(counts).toEqual([dataLoss, dataLoss]);
});

it("the trail holds no values, tokens, contexts, blobs or spans, of what succeeds and of what is refused", async () => {
  const { ask, kms, rows } = setUp();
  const secret = Buffer.from("a-secret-value-of-a-person");
  const encryptionContext = { "secret-pair": "secret-of-pair" };
  const sealed = await ask("encryptPii", { fields: [{ name: "secret-field", value: secret }], encryptionContext });
  const token = sealed.fields[0]!.token;
  await ask("decryptPii", tokens(token, `${token}A`));
  await ask("generateDataKey", { encryptionContext });
  await thrownBy(() => ask("decryptDataKey", { ciphertextBlob: secret }));
  await ask("signSpan");
  await thrownBy(() => kms.signSpan(decodeSignSpanRequest(secret), call()));
  const text = JSON.stringify(await rows());
  for (const content of ["secret", token.slice(5, 45), plainSpan.name, plainSpan.traceId.toString("hex")]) {
    expect(text).not.toContain(content);
  }
});

describe("the tenant of a SignSpan request", () => {
  const field = (tag: number, text: string) => Buffer.from([tag, text.length, ...Buffer.from(text)]);
  const tenant = field(0x0a, tenantId);

  it.each([
    [tenantId, Buffer.concat([field(0x1a, ""), field(0x12, "zz"), tenant])],
    ...[[], [0x0a], [0x0a, 0x7f, 1], [0x12, 0], [0x08, 1], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].map(
      (bytes): [string, Buffer] => ["", Buffer.from(bytes)],
    ),
    // It is not looked for behind more fields than a request has.
    ["", Buffer.concat([...Array(5).fill(field(0x12, "")), tenant])],
  ])("is %j of %o", (found, bytes) => {
    expect(decodeSignSpanRequest(bytes).tenantId).toBe(found);
  });

  it("is the first where there are two, of which the second is refused", () => {
    const { tenantId: found, refusal } = decodeSignSpanRequest(Buffer.concat([tenant, field(0x0a, "other")]));
    expect(found).toBe(tenantId);
    expect(refusal).toMatchObject({ code: "INVALID_ARGUMENT", violations: [{ field: "tenant_id" }] });
  });
});
