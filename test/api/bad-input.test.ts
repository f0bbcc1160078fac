/** Requests that are too large or no messages, over gRPC and Connect. Which fields are refused, and by what code, is in matrix/. */
import { request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { hex, len, message, varint } from "../support/otlp-wire.ts";
import { expectNoKeys, expectNoStack, plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

it("a request that is refused makes no key", async () => {
  const tenantId = "refused";
  const refused = [
    kms.grpc.encryptPii({ tenantId, fields: [] }),
    kms.grpc.generateDataKey({ tenantId, keySpec: 7 as never }),
    kms.grpc.signSpan({ tenantId, span: { ...plainSpan, traceId: Buffer.alloc(16) } }),
    kms.grpc.rotate({ tenantId, purpose: 9 as never }),
  ];
  for (const call of refused) expect((await failureOf(call)).code).toBe(grpc.status.INVALID_ARGUMENT);
  const { fields } = await kms.grpc.decryptPii({ tenantId, fields: [{ name: "email", token: "nonsense" }] });
  expect(fields[0]!.result.value).toMatchObject({ code: 3, message: "ciphertext rejected" });
  await expectNoKeys(kms, tenantId);
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

describe("bytes that are not the message", () => {
  const methods = KmsService.methods.filter(({ methodKind }) => methodKind === "unary");

  it.each(methods.map(({ localName }) => localName as "status"))("%s refuses over gRPC", async (method) => {
    for (const bytes of [hex("0a 05 61"), len(1, hex("ff")), hex("8f3b19c2f7e04455aa10ff00")]) {
      const failure = await failureOf(kms.grpc.raw(method, bytes));
      expect(failure).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, reason: "INVALID_ARGUMENT" });
      expectNoStack(failure.message);
    }
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
