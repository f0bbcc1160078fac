/** Requests in JSON, by fetch: what JSON can say and a protobuf message cannot, and what must not come back in an error. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  DecryptPiiRequestSchema,
  DecryptPiiResponseSchema,
  EncryptPiiRequestSchema,
  EncryptPiiResponseSchema,
} from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { expectNoKeys, expectNoStack, postRpc } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const tenantId = "json";
const traceId = "W47/95gDgQPSabYzgT/GDA==";
const spanId = "7uGbfsPBsXQ=";
const secret = "hunter2";
const base64 = (text: string) => Buffer.from(text).toString("base64");

interface Detail {
  type: string;
  debug?: { fieldViolations?: { field: string }[] };
}

const fieldsOf = (body: { details?: Detail[] }) =>
  (body.details ?? [])
    .filter(({ type }) => type === "google.rpc.BadRequest")
    .flatMap(({ debug }) => debug?.fieldViolations ?? [])
    .map(({ field }) => field);

async function expectRefused(method: string, body: unknown, field?: string) {
  const answer = await postRpc(kms.url, method, body);
  expect(answer.body.code).toBe("invalid_argument");
  expect(answer.status).toBe(400);
  expectNoStack(JSON.stringify(answer.body));
  expect(JSON.stringify(answer.body)).not.toContain(secret);
  expect(Buffer.from(JSON.stringify(answer.body)).toString("latin1")).not.toContain(base64(secret));
  if (field !== undefined) expect(fieldsOf(answer.body)).toEqual([field]);
  await expectNoKeys(kms, tenantId);
  return answer.body;
}

describe("a span in JSON", () => {
  const span = (members: object) => ({ tenantId, span: { traceId, spanId, ...members } });

  it("is refused with a trace_id in hex, and the error says what is due", async () => {
    const body = await expectRefused(
      "SignSpan",
      span({ traceId: "5b8efff798038103d269b633813fc60c" }),
      "span.trace_id",
    );
    expect(body.message).toContain("hex was given where base64 is due");
    const other = await expectRefused("SignSpan", span({ spanId: "eee19b7ec3c1b174" }), "span.span_id");
    expect(other.message).toContain("hex was given where base64 is due");
  });

  it.each([
    ["an unknown member of the request", { ...span({}), dryRun: true }, "dryRun"],
    ["an unknown member of the span", span({ colour: "red" }), "colour"],
    ["a lone surrogate in its name", span({ name: "\ud800" }), "name"],
    ["a lone surrogate in an attribute's key", span({ attributes: [{ key: "\udc00", value: {} }] }), "key"],
    [
      "a lone surrogate in a value",
      span({ attributes: [{ key: "k", value: { stringValue: "x\ud83d" } }] }),
      "string_value",
    ],
    ["an unknown kind", span({ kind: 99 }), "span.kind"],
    [
      "two members of a value",
      span({ attributes: [{ key: "k", value: { stringValue: "x", intValue: "1" } }] }),
      "value",
    ],
    ["an id that is not base64", span({ traceId: "*" }), "trace_id"],
    ["a time that is not a number", span({ startTimeUnixNano: secret }), "start_time_unix_nano"],
    ["a reserved attribute", span({ attributes: [{ key: "audit.integrity.fluo.x" }] }), "span.attributes[0].key"],
    ["the same key twice", span({ attributes: [{ key: "k" }, { key: "k" }] }), "span.attributes[1].key"],
    ["a trace_id under both its names", span({ trace_id: traceId }), "trace_id"],
  ])("is refused with %s", async (_what, body, field) => {
    await expectRefused("SignSpan", body, field);
    await expectRefused("VerifySpan", body, field);
  });

  it("is signed with a pair of surrogates, and names are covered as they are", async () => {
    const tenant = { tenantId: "json-signed" };
    const signed = await postRpc(kms.url, "SignSpan", { ...tenant, span: { traceId, spanId, name: "😀" } });
    const attributes = signed.body.attributes;
    const verify = (name: string) =>
      postRpc(kms.url, "VerifySpan", { ...tenant, span: { traceId, spanId, name, attributes } });
    expect((await verify("😀")).body).toMatchObject({ verified: true });
    expect((await verify("😁")).body.reason).toBe("VERIFY_REASON_SIGNATURE_MISMATCH");
  });
});

describe("PII and contexts in JSON", () => {
  const fields = [{ name: "email", value: base64(secret) }];

  it.each([
    ["a lone surrogate in a field name", { tenantId, fields: [{ name: "\ud800", value: "" }] }, "name"],
    [
      "a lone surrogate in a context's key",
      { tenantId, fields, encryptionContext: { "\ud800": "x" } },
      "encryption_context",
    ],
    [
      "a lone surrogate in a context's value",
      { tenantId, fields, encryptionContext: { k: "\ud800" } },
      "encryption_context",
    ],
    ["a lone surrogate in the tenant", { tenantId: "\ud800", fields }, "tenant_id"],
    ["a context of another type", { tenantId, fields, encryptionContext: { k: { secret } } }, "encryption_context"],
    ["an unknown member", { tenantId, fields, context: {} }, "context"],
    ["a member called __proto__", `{"tenantId":"${tenantId}","fields":[],"__proto__":{}}`, "__proto__"],
    ["a value that is not base64", { tenantId, fields: [{ name: "n", value: `${secret}!` }] }, "value"],
    ["fields that are no list", { tenantId, fields: secret }, "fields"],
    ["a name that is a number", { tenantId, fields: [{ name: 5 }] }, "name"],
  ])("are refused with %s", async (_what, body, field) => {
    await expectRefused("EncryptPii", body, field);
  });

  it.each([
    ["that is cut", `{"tenantId":"${tenantId}","fields":[{"name":"${secret}`],
    ["with a bare word", `{"tenantId": ${secret}}`],
    ["that is a string", `"${secret}"`],
    ["that is a list", `["${secret}"]`],
    ["that is empty", ""],
    ["that is not UTF-8", Buffer.from(`{"tenantId":"${tenantId}","fields":[{"name":"\xff"}]}`, "latin1")],
    ["with an overlong NUL", Buffer.from(`{"tenantId":"${tenantId}","fields":[{"name":"\xc0\x80"}]}`, "latin1")],
    ["nested 10,000 deep", `{"fields":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
  ])("are refused in a body %s, and nothing of it comes back", async (_what, body) => {
    await expectRefused("EncryptPii", body);
  });

  it("are refused with an enum that does not exist by name", async () => {
    await expectRefused("GenerateDataKey", { tenantId, keySpec: secret });
  });

  it("name an unknown member of any length and any text in a short error", async () => {
    const long = await expectRefused("EncryptPii", { tenantId, ["m".repeat(100_000)]: 1 }, `${"m".repeat(64)}…`);
    expect(JSON.stringify(long).length).toBeLessThan(2000);
    await expectRefused("EncryptPii", `{"tenantId":"${tenantId}","\\ud800":1}`, "\ufffd");
    await expectRefused("EncryptPii", { tenantId, 'a" is unknown\n': 1 });
  });

  it("counts what was refused in kms_errors_total", async () => {
    const count = async () => {
      const text = await (await fetch(`${kms.url}/q/metrics`)).text();
      return Number(/kms_errors_total\{operation="Status",code="INVALID_ARGUMENT"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await count();
    await expectRefused("Status", { nothing: 1 }, "nothing");
    expect(await count()).toBe(before + 1);
  });
});

describe("__proto__ as a key of an encryption context", () => {
  const json = (tenant: string, members: string) =>
    `{"tenantId":"${tenant}","encryptionContext":{"__proto__":"x"},${members}}`;
  const context: Record<string, string> = { ["__proto__"]: "x" };
  const fields = [{ name: "email", value: Buffer.from("ada") }];

  it("is authenticated over gRPC", async () => {
    const entry = Buffer.concat([
      Buffer.of(0x1a, 14, 0x0a, 9),
      Buffer.from("__proto__"),
      Buffer.of(0x12, 1),
      Buffer.from("x"),
    ]);
    const request = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId: "proto", fields }));
    const answer = await kms.grpc.raw("encryptPii", Buffer.concat([request, entry]));
    const sealed = fromBinary(EncryptPiiResponseSchema, answer).fields;
    const open = async (suffix: Uint8Array) => {
      const message = create(DecryptPiiRequestSchema, { tenantId: "proto", fields: sealed });
      const opened = await kms.grpc.raw(
        "decryptPii",
        Buffer.concat([toBinary(DecryptPiiRequestSchema, message), suffix]),
      );
      return fromBinary(DecryptPiiResponseSchema, opened).fields[0]!.result.case;
    };
    expect(await open(entry)).toBe("value");
    expect(await open(Buffer.of())).toBe("error");
    const other = Buffer.from(entry);
    other[other.length - 1] = 0x79;
    expect(await open(other)).toBe("error");
  });

  it("is authenticated in JSON, for PII and data keys, and is the same pair as over gRPC", async () => {
    const sealed = await postRpc(kms.url, "EncryptPii", json("proto", `"fields":[{"name":"email","value":"YWRh"}]`));
    const tokens = JSON.stringify(sealed.body.fields);
    const opened = await postRpc(kms.url, "DecryptPii", json("proto", `"fields":${tokens}`));
    expect(opened.body.fields[0].value).toBe("YWRh");
    const without = await postRpc(kms.url, "DecryptPii", { tenantId: "proto", fields: sealed.body.fields });
    expect(without.body.fields[0].error.message).toBe("ciphertext rejected");
    const again = await postRpc(kms.url, "ReEncryptPii", json("proto", `"fields":${tokens}`));
    expect(again.body.fields[0].token).toMatch(/^fk1\./);

    const key = await postRpc(kms.url, "GenerateDataKey", json("proto", `"keySpec":"KEY_SPEC_AES_256"`));
    const blob = key.body.ciphertextBlob;
    const same = await postRpc(kms.url, "DecryptDataKey", json("proto", `"ciphertextBlob":"${blob}"`));
    expect(same.body.plaintext).toBe(key.body.plaintext);
    const bare = await postRpc(kms.url, "DecryptDataKey", { tenantId: "proto", ciphertextBlob: blob });
    expect(bare.body).toMatchObject({ code: "invalid_argument", message: "ciphertext rejected" });
  });

  it("reaches the service from the generated client too", async () => {
    const { ciphertextBlob } = await kms.connect.generateDataKey({ tenantId: "proto", encryptionContext: context });
    const body = json("proto", `"ciphertextBlob":"${Buffer.from(ciphertextBlob).toString("base64")}"`);
    expect((await postRpc(kms.url, "DecryptDataKey", body)).status).toBe(200);
  });
});
