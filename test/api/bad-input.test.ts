/** Bad requests over gRPC and Connect: the status, the field that is wrong, and nothing made. */
import { request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { type CallFailure, failureOf, type RunningService, startService } from "../support/running-service.ts";
import { hex, len, message, varint } from "../support/otlp-wire.ts";
import { connectFailureOf, expectNoKeys, expectNoStack, plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const value = Buffer.from("ada");
const fields = [{ name: "email", value }];

async function expectInvalid(call: Promise<unknown>, field: string): Promise<CallFailure> {
  const failure = await failureOf(call);
  expect(failure).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, fields: [field] });
  expect(failure.message).toContain(field);
  expectNoStack(failure.message);
  return failure;
}

describe("a tenant_id", () => {
  const malformed: [string, string][] = [
    ["that is missing", ""],
    ["in upper case", "Acme"],
    ["of the name __proto__", "__proto__"],
    ["of 64 characters", "a".repeat(64)],
    ["with a space", "acme corp"],
    ["with a space behind", "acme "],
    ["with a line feed behind", "acme\n"],
    ["with a NUL", "acme\0"],
    ["with a slash", "acme/other"],
    ["of dots", ".."],
    ["beyond ASCII", "açme"],
    ["of full-width letters", "ａｃｍｅ"],
  ];

  describe.each(malformed)("%s is refused", (_what, tenantId) => {
    it.each<[string, () => Promise<unknown>]>([
      ["GenerateDataKey", () => kms.grpc.generateDataKey({ tenantId })],
      ["DecryptDataKey", () => kms.grpc.decryptDataKey({ tenantId, ciphertextBlob: value })],
      ["EncryptPii", () => kms.grpc.encryptPii({ tenantId, fields })],
      ["DecryptPii", () => kms.grpc.decryptPii({ tenantId, fields: [{ name: "email", token: "fk1." }] })],
      ["ReEncryptPii", () => kms.grpc.reEncryptPii({ tenantId, fields: [{ name: "email", token: "fk1." }] })],
      ["SignSpan", () => kms.grpc.signSpan({ tenantId, span: plainSpan })],
      ["VerifySpan", () => kms.grpc.verifySpan({ tenantId, span: plainSpan })],
      ["GetPublicKeys", () => kms.grpc.getPublicKeys({ tenantId })],
    ])("by %s", async (_method, call) => {
      const { message } = await expectInvalid(call(), "tenant_id");
      if (tenantId.length > 2) expect(message).not.toContain(tenantId);
    });

    const takesAnEmptyOne: [string, () => Promise<unknown>][] = [
      ["Rotate", () => kms.grpc.rotate({ tenantId, force: true })],
      ["Validate", () => kms.grpc.validate({ tenantId })],
      ["Status", () => kms.grpc.status({ tenantId })],
    ];
    it.each(tenantId === "" ? [] : takesAnEmptyOne)("by %s, which takes an empty one", async (_method, call) => {
      await expectInvalid(call(), "tenant_id");
    });
  });

  it.each([
    ["of one character", "0"],
    ["of 63 characters", "a".repeat(63)],
    ["that is a UUID", "9f1c2d6e-7a54-4b1f-9b7e-0a4c5d6e7f80"],
    ["of the name constructor", "constructor"],
    ["with dots, dashes and underscores", "a.b-c_d"],
  ])("%s is served", async (_what, tenantId) => {
    expect((await kms.grpc.generateDataKey({ tenantId })).plaintext).toHaveLength(32);
    expect((await kms.grpc.encryptPii({ tenantId, fields })).fields).toHaveLength(1);
  });

  it("that is refused is given no key", async () => {
    const { keys } = await kms.grpc.status({});
    for (const [, tenantId] of malformed) {
      await expectInvalid(kms.grpc.generateDataKey({ tenantId }), "tenant_id");
      await expectInvalid(kms.grpc.encryptPii({ tenantId, fields }), "tenant_id");
      await expectInvalid(kms.grpc.signSpan({ tenantId, span: plainSpan }), "tenant_id");
    }
    expect((await kms.grpc.status({})).keys).toEqual(keys);
  });
});

describe("PII requests", () => {
  const tenantId = "pii-refused";
  afterEach(() => expectNoKeys(kms, tenantId));
  const many = (count: number) => Array.from({ length: count }, () => ({ name: "n", value: Buffer.of(1) }));

  it("of no field are refused", async () => {
    await expectInvalid(kms.grpc.encryptPii({ tenantId, fields: [] }), "fields");
    await expectInvalid(kms.grpc.decryptPii({ tenantId, fields: [] }), "fields");
    await expectInvalid(kms.grpc.reEncryptPii({ tenantId, fields: [] }), "fields");
  });

  it("of 1,001 fields are refused", async () => {
    const tokens = many(1001).map(({ name }) => ({ name, token: "fk1." }));
    await expectInvalid(kms.grpc.encryptPii({ tenantId, fields: many(1001) }), "fields");
    await expectInvalid(kms.grpc.decryptPii({ tenantId, fields: tokens }), "fields");
    await expectInvalid(kms.grpc.reEncryptPii({ tenantId, fields: tokens }), "fields");
  });

  it("with a value of 65,537 bytes are refused", async () => {
    const large = [...many(2), { name: "large", value: Buffer.alloc(65_537) }];
    await expectInvalid(kms.grpc.encryptPii({ tenantId, fields: large }), "fields[2].value");
  });

  it("with more than 2 MiB of values are refused", async () => {
    const all = Array.from({ length: 32 }, () => ({ name: "n", value: Buffer.alloc(65_536) }));
    await expectInvalid(kms.grpc.encryptPii({ tenantId, fields: [...all, ...many(1)] }), "fields");
  });

  it.each([
    ["empty", ""],
    ["of 257 bytes", "n".repeat(257)],
    ["of 257 bytes in fewer characters", `${"é".repeat(128)}n`],
  ])("with a name that is %s are refused", async (_what, name) => {
    await expectInvalid(kms.grpc.encryptPii({ tenantId, fields: [...fields, { name, value }] }), "fields[1].name");
    await expectInvalid(kms.grpc.decryptPii({ tenantId, fields: [{ name, token: "fk1." }] }), "fields[0].name");
    await expectInvalid(kms.grpc.reEncryptPii({ tenantId, fields: [{ name, token: "fk1." }] }), "fields[0].name");
  });

  it("name at most 16 violations", async () => {
    const failure = await failureOf(
      kms.grpc.encryptPii({ tenantId, fields: many(100).map(({ value }) => ({ name: "", value })) }),
    );
    expect(failure.fields).toEqual(Array.from({ length: 16 }, (_, index) => `fields[${index}].name`));
  });

  it("that decrypt nonsense make no key and reject each field", async () => {
    const { fields: opened } = await kms.grpc.decryptPii({ tenantId, fields: [{ name: "email", token: "nonsense" }] });
    expect(opened[0]!.result.value).toMatchObject({ code: 3, message: "ciphertext rejected" });
  });
});

describe("PII requests at their limits", () => {
  it("are served: 1,000 fields, 64 KiB a value, 2 MiB in all, names of 256 bytes, a value of nothing", async () => {
    const tenantId = "pii-limits";
    const largest = Array.from({ length: 32 }, () => ({ name: "n".repeat(256), value: Buffer.alloc(65_536, 7) }));
    const sealed = await kms.grpc.encryptPii({ tenantId, fields: largest });
    const opened = await kms.grpc.decryptPii({ tenantId, fields: sealed.fields });
    for (const { result } of opened.fields) expect((result.value as Uint8Array).length).toBe(65_536);
    const many = Array.from({ length: 1000 }, (_, index) => ({ name: `n${index}`, value: Buffer.of() }));
    const { fields: tokens } = await kms.grpc.encryptPii({ tenantId, fields: many });
    const again = await kms.grpc.reEncryptPii({ tenantId, fields: tokens });
    expect(again.fields.every(({ result }) => result.case === "token")).toBe(true);
  });
});

describe("an encryption context", () => {
  const tenantId = "context-refused";
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));
  const bytes = (count: number) => ({ k: "v".repeat(count - 1) });

  describe.each<[string, Record<string, string>]>([
    ["of 17 pairs", pairs(17)],
    ["of 4,097 bytes", bytes(4097)],
    ["of 4,097 bytes in fewer characters", { k: `${"é".repeat(2047)}vv` }],
  ])("%s is refused", (_what, encryptionContext) => {
    it.each<[string, () => Promise<unknown>]>([
      ["GenerateDataKey", () => kms.grpc.generateDataKey({ tenantId, encryptionContext })],
      ["DecryptDataKey", () => kms.grpc.decryptDataKey({ tenantId, ciphertextBlob: value, encryptionContext })],
      ["EncryptPii", () => kms.grpc.encryptPii({ tenantId, fields, encryptionContext })],
      ["DecryptPii", () => kms.grpc.decryptPii({ tenantId, fields: [{ name: "n", token: "" }], encryptionContext })],
      [
        "ReEncryptPii",
        () => kms.grpc.reEncryptPii({ tenantId, fields: [{ name: "n", token: "" }], encryptionContext }),
      ],
    ])("by %s", async (_method, call) => {
      await expectInvalid(call(), "encryption_context");
      await expectNoKeys(kms, tenantId);
    });
  });

  it.each<[string, Record<string, string>]>([
    ["16 pairs", pairs(16)],
    ["4 KiB", bytes(4096)],
    ["an empty key and value", { "": "" }],
    ["the keys constructor and toString", { constructor: "1", toString: "2" }],
  ])("of %s is served", async (_what, encryptionContext) => {
    const { plaintext, ciphertextBlob } = await kms.grpc.generateDataKey({ tenantId: "context", encryptionContext });
    const opened = await kms.grpc.decryptDataKey({ tenantId: "context", ciphertextBlob, encryptionContext });
    expect(opened.plaintext).toEqual(plaintext);
    const failure = await failureOf(kms.grpc.decryptDataKey({ tenantId: "context", ciphertextBlob }));
    expect(failure).toMatchObject({ reason: "CIPHERTEXT_REJECTED", message: "ciphertext rejected" });
  });
});

describe("enums", () => {
  it("refuse numbers that the proto does not have", async () => {
    await expectInvalid(kms.grpc.generateDataKey({ tenantId: "enums", keySpec: 7 as never }), "key_spec");
    await expectInvalid(kms.grpc.generateDataKey({ tenantId: "enums", keySpec: -1 as never }), "key_spec");
    await expectInvalid(kms.grpc.rotate({ tenantId: "enums", purpose: 9 as never }), "purpose");
    await expectInvalid(kms.grpc.rotate({ purpose: 9 as never }), "purpose");
    await expectNoKeys(kms, "enums");
  });
});

describe("a Rotate request", () => {
  it.each([
    ["a request_id with a control character", { tenantId: "acme", requestId: "a\u0001" }, "request_id"],
    ["a request_id with a line feed behind", { tenantId: "acme", requestId: "a\n" }, "request_id"],
    ["a request_id beyond ASCII", { tenantId: "acme", requestId: "é" }, "request_id"],
    ["a request_id of 129 characters", { tenantId: "acme", requestId: "r".repeat(129) }, "request_id"],
    ["a request_id without a tenant", { requestId: "r-1" }, "request_id"],
    ["a limit of 1,001", { limit: 1001 }, "limit"],
  ])("with %s is refused", async (_what, request, field) => {
    await expectInvalid(kms.grpc.rotate(request), field);
  });
});

describe("bytes that are not the message", () => {
  const methods = KmsService.methods.filter(({ methodKind }) => methodKind === "unary");

  describe.each(methods.map(({ localName }) => localName as "status"))("%s", (method) => {
    it.each([
      ["a cut field", hex("0a 05 61")],
      ["a tenant_id that is not UTF-8", len(1, hex("ff"))],
      ["an unclosed group", hex("0b")],
      ["a field 0", hex("02 00")],
      ["wire type 7", hex("0f 00")],
      ["random bytes", hex("8f3b19c2f7e04455aa10ff00")],
    ])("refuses %s over gRPC as INVALID_ARGUMENT", async (_what, bytes) => {
      const failure = await failureOf(kms.grpc.raw(method, bytes));
      expect(failure).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, reason: "INVALID_ARGUMENT" });
      expectNoStack(failure.message);
    });
  });

  it("is refused over Connect without a stack", async () => {
    for (const method of ["EncryptPii", "SignSpan"]) {
      const response = await fetch(`${kms.url}/${KmsService.typeName}/${method}`, {
        method: "POST",
        headers: { "content-type": "application/proto" },
        body: Buffer.from(message(len(1, hex("ff")))),
      });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expectNoStack(await response.text());
    }
  });

  it("SignSpan over Connect refuses a field that it does not know", async () => {
    const spanBytes = message(len(1, plainSpan.traceId), len(2, plainSpan.spanId), varint(99, 1));
    const response = await fetch(`${kms.url}/${KmsService.typeName}/SignSpan`, {
      method: "POST",
      headers: { "content-type": "application/proto" },
      body: Buffer.from(message(len(1, "unknown-field"), len(2, spanBytes))),
    });
    expect([response.status, await response.json()]).toMatchObject([400, { code: "invalid_argument" }]);
    await expectNoKeys(kms, "unknown-field");
  });
});

describe("sizes", () => {
  const tenantId = "sizes";
  const mebibyte = 1024 * 1024;
  afterEach(() => expectNoKeys(kms, tenantId));

  it("a message of 5 MiB is RESOURCE_EXHAUSTED on gRPC", async () => {
    const failure = await failureOf(kms.grpc.raw("encryptPii", Buffer.alloc(5 * mebibyte)));
    expect(failure.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expectNoStack(failure.message);
  });

  it("a small message that inflates to 64 MiB is RESOURCE_EXHAUSTED on gRPC", async () => {
    const client = new grpc.Client(`127.0.0.1:${kms.grpcPort}`, grpc.credentials.createInsecure(), {
      "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    });
    const pass = (bytes: Uint8Array) => Buffer.from(bytes);
    const path = `/${KmsService.typeName}/EncryptPii`;
    const error = await new Promise<grpc.ServiceError | null>((resolve) =>
      client.makeUnaryRequest(path, pass, pass, Buffer.alloc(64 * mebibyte), resolve),
    );
    client.close();
    expect(error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });

  it.each([true, false])("and on Connect, in binary: %s", async (useBinaryFormat) => {
    const transport = createConnectTransport({ baseUrl: kms.url, httpVersion: "1.1", useBinaryFormat });
    const client = createClient(KmsService, transport);
    const failure = await connectFailureOf(
      client.encryptPii({ tenantId, fields: [{ name: "n", value: Buffer.alloc(5 * mebibyte) }] }),
    );
    expect(failure.code).toBe(Code.ResourceExhausted);
    expectNoStack(failure.message);
  });

  it("a body that inflates to 64 MiB is refused on Connect", async () => {
    const response = await fetch(`${kms.url}/${KmsService.typeName}/EncryptPii`, {
      method: "POST",
      headers: { "content-type": "application/proto", "content-encoding": "gzip" },
      body: gzipSync(Buffer.alloc(64 * mebibyte)),
    });
    expect([response.status, await response.json()]).toMatchObject([429, { code: "resource_exhausted" }]);
  });

  it.each(["!!!", "a", "%FF"])(
    "a GET whose message %s is no base64 is refused on Connect, and names the field",
    async (text) => {
      const query = `connect=v1&encoding=json&base64=1&message=${text}`;
      const response = await fetch(`${kms.url}/${KmsService.typeName}/Status?${query}`);
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { code: "invalid_argument", message: "message: is not base64" },
      ]);
    },
  );

  it("a message of 5 MiB without a declared length is refused on Connect", async () => {
    const body = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < 5; sent += 1) controller.enqueue(new Uint8Array(mebibyte));
        controller.close();
      },
    });
    const response = await fetch(`${kms.url}/${KmsService.typeName}/EncryptPii`, {
      method: "POST",
      headers: { "content-type": "application/proto" },
      body,
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(429);
  });

  it("headers over 16 KiB are refused on gRPC, and the connection's other calls are served", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-large", "h".repeat(20 * 1024));
    const failure = await failureOf(kms.grpc.raw("status", Buffer.of(), {}, metadata));
    expect(failure.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect((await kms.grpc.status({})).provider).toBe("local");
  });

  it("headers of 12 KiB are served on gRPC", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-large", "h".repeat(12 * 1024));
    expect((await kms.grpc.raw("status", Buffer.of(), {}, metadata)).length).toBeGreaterThan(0);
  });

  it.each([
    [20 * 1024, 431],
    [12 * 1024, 200],
  ])("headers of %i bytes are answered with %i on HTTP", async (bytes, status) => {
    const answered = await new Promise((resolve, reject) => {
      const options = { headers: { "x-large": "h".repeat(bytes) }, agent: false } as const;
      const request = httpRequest(`${kms.url}/q/health/live`, options, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on("error", reject);
      request.end();
    });
    expect(answered).toBe(status);
  });
});
