/** Connect and gRPC-Web at their edges: what does not parse is refused as on gRPC, counted and logged; what is read as bytes comes as it was. */
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { type StatusRequest, StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { EncryptPiiResponseSchema } from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { SignSpanResponseSchema, VerifySpanResponseSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { frame } from "../../support/raw-stream.ts";
import { len, message, varint } from "../../support/otlp-wire.ts";
import { type FakeKms, startTransports, type Transports } from "../../support/transports-fixture.ts";

let service: Transports;
let taken: Uint8Array[] = [];
beforeAll(async () => {
  service = await startTransports(
    {
      encryptPii: () => create(EncryptPiiResponseSchema, { keyId: "k" }),
      generateDataKey: () => create(GenerateDataKeyResponseSchema, { keyId: "k" }),
      status: async ({ tenantId }: StatusRequest) => create(StatusResponseSchema, { provider: tenantId }),
      signSpan(bytes: Uint8Array) {
        taken.push(bytes);
        return toBinary(SignSpanResponseSchema, create(SignSpanResponseSchema, { keyId: "signed" }));
      },
      verifySpan(bytes: Uint8Array) {
        taken.push(bytes);
        return create(VerifySpanResponseSchema, { keyId: "verified" });
      },
    } as unknown as FakeKms,
    { bytesSpoken: true },
  );
});
afterAll(() => service.stop());
beforeEach(() => {
  taken = [];
});

interface Answer {
  status: number;
  headers: Headers;
  body: Buffer;
}

async function send(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${service.url}${path}`, init);
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

function post(method: string, contentType: string, body: Uint8Array | string, headers: Record<string, string> = {}) {
  const init = { method: "POST", headers: { "content-type": contentType, ...headers }, body: Buffer.from(body) };
  return send(`/fluo.kms.v1.KmsService/${method}`, init);
}

function get(method: string, query: Record<string, string>) {
  return send(`/fluo.kms.v1.KmsService/${method}?${new URLSearchParams({ connect: "v1", ...query })}`);
}

const binary = "application/proto";
const web = "application/grpc-web+proto";

/** Also that it was counted and logged, once. */
async function failing(method: string, call: () => Promise<Answer>, code = "INVALID_ARGUMENT"): Promise<Answer> {
  const pattern = new RegExp(`kms_errors_total\\{operation="${method}",code="${code}"\\} (\\d+)`);
  const count = async () => Number(pattern.exec(await service.metrics())?.[1] ?? 0);
  const [before, lines] = [await count(), service.logged.length];
  const answer = await call();
  expect(await count()).toBe(before + 1);
  const logged = service.logged.slice(lines).map((line) => JSON.parse(line));
  expect(logged).toMatchObject([{ method, code }]);
  return answer;
}

function expectInvalid({ status, headers, body }: Answer): void {
  expect([status, headers.get("content-type")]).toEqual([400, "application/json"]);
  const error = JSON.parse(body.toString());
  expect(error.code).toBe("invalid_argument");
  expect(error.details).toMatchObject([{ type: "google.rpc.ErrorInfo", debug: { reason: "INVALID_ARGUMENT" } }]);
}

const malformed: [string, Uint8Array][] = [
  ["a field past its end", Buffer.from("0a0561", "hex")],
  ["the field number 0", Buffer.from("0000", "hex")],
  ["a varint without an end", Buffer.from("08ffffffffffffffffffff", "hex")],
  ["text that is not UTF-8", len(1, Buffer.of(0xff))],
  ["the wire type 7", Buffer.from("0f", "hex")],
  ["groups within groups", Buffer.alloc(10_000, 0x0b)],
];

describe.each(malformed)("a message with %s", (_what, bytes) => {
  it.each(["EncryptPii", "GenerateDataKey", "Status"])("is refused by %s in a Connect POST", async (method) => {
    expectInvalid(await failing(method, () => post(method, binary, bytes)));
  });

  it("is refused in a Connect POST that is compressed", async () => {
    const encoding = { "content-encoding": "gzip" };
    expectInvalid(await failing("EncryptPii", () => post("EncryptPii", binary, gzipSync(bytes), encoding)));
  });

  it("is refused in a Connect GET, compressed too", async () => {
    const query = { encoding: "proto", base64: "1" };
    const plain = Buffer.from(bytes).toString("base64url");
    expectInvalid(await failing("Status", () => get("Status", { ...query, message: plain })));
    const short = gzipSync(bytes).toString("base64url");
    expectInvalid(await failing("Status", () => get("Status", { ...query, message: short, compression: "gzip" })));
  });

  it("is refused over gRPC-Web", async () => {
    const { status, body } = await failing("EncryptPii", () => post("EncryptPii", web, frame(bytes)));
    expect([status, body[0]]).toEqual([200, 0x80]);
    expect(body.toString()).toMatch(/grpc-status: 3\r\n/);
    expect(body.toString()).toMatch(/grpc-status-details-bin: \S+\r\n/);
  });
});

describe("what is no message at all", () => {
  it.each<[string, () => Promise<Answer>]>([
    ["gzip that is none", () => post("Status", binary, "no gzip", { "content-encoding": "gzip" })],
    [
      "gzip that is cut",
      () => post("Status", binary, gzipSync(Buffer.alloc(999)).subarray(0, 12), { "content-encoding": "gzip" }),
    ],
    ["a timeout that is none", () => post("Status", binary, "", { "connect-timeout-ms": "soon" })],
    ["a GET whose message is not base64", () => get("Status", { encoding: "proto", base64: "1", message: "a\u00e9" })],
    ["a GET in JSON that is none", () => get("Status", { encoding: "json", message: "{" })],
    ["JSON with a member twice", () => post("Status", "application/json", '{"tenantId":"a","tenantId":"b"}')],
  ])("is refused: %s", async (_what, call) => {
    const { status, body } = await failing("Status", call);
    expect([status, JSON.parse(body.toString()).code]).toEqual([400, "invalid_argument"]);
  });

  it.each<[string, Uint8Array]>([
    ["nothing", Buffer.of()],
    ["half a head", Buffer.of(0, 0)],
    ["a frame that is cut", frame(Buffer.from("abc"), 4)],
    ["two frames", Buffer.concat([frame(Buffer.of()), frame(Buffer.of())])],
    ["the end of a call", frame(Buffer.of(), 0, 0x80)],
  ])("is refused over gRPC-Web: %s", async (_what, body) => {
    expect((await failing("Status", () => post("Status", web, body))).body.toString()).toMatch(/grpc-status: 3\r\n/);
  });

  it("is refused over gRPC-Web with a timeout that is none", async () => {
    const call = () => post("Status", web, frame(Buffer.of()), { "grpc-timeout": "10 s" });
    expect((await failing("Status", call)).body.toString()).toMatch(/grpc-status: 3\r\n/);
  });

  it("is 501 in an unknown compression, and says which are known", async () => {
    const call = () => post("Status", binary, "x", { "content-encoding": "zstd" });
    const { status, headers } = await failing("Status", call, "UNIMPLEMENTED");
    expect([status, headers.get("accept-encoding")]).toEqual([501, "gzip,br"]);
  });

  it("is 415 in an unknown media type, and 405 by another verb, and says what is served", async () => {
    const other = await failing("Status", () => post("Status", "text/plain", "{}"));
    expect([other.status, other.headers.get("accept-post")]).toEqual([
      415,
      expect.stringContaining("application/json"),
    ]);
    const stream = await failing("Status", () => post("Status", "application/connect+proto", frame(Buffer.of())));
    expect(stream.status).toBe(415);
    const verb = await failing("SignSpan", () => get("SignSpan", { encoding: "json", message: "{}" }));
    expect([verb.status, verb.headers.get("allow")]).toEqual([405, "POST"]);
  });
});

describe("a handler that reads bytes", () => {
  const twice = message(len(1, "a"), len(1, "b"), varint(9, 1), Buffer.from("8a80808010", "hex"), len(2, ""));

  it.each(["SignSpan", "VerifySpan"])("of %s gets those of a Connect POST, compressed or not", async (method) => {
    await post(method, binary, twice);
    await post(method, binary, gzipSync(twice), { "content-encoding": "gzip" });
    await post(method, binary, brotliCompressSync(twice), { "content-encoding": "br" });
    expect(taken.map((bytes) => Buffer.from(bytes))).toEqual([twice, twice, twice].map((bytes) => Buffer.from(bytes)));
  });

  it.each(["SignSpan", "VerifySpan"])("of %s gets those of gRPC-Web, compressed or not", async (method) => {
    await post(method, web, frame(twice));
    await post(method, web, frame(gzipSync(twice), undefined, 1), { "grpc-encoding": "gzip" });
    expect(taken.map((bytes) => Buffer.from(bytes))).toEqual([twice, twice].map((bytes) => Buffer.from(bytes)));
  });

  it("answers in JSON to JSON", async () => {
    const { body } = await post("SignSpan", "application/json", '{"tenantId":"acme"}');
    expect(JSON.parse(body.toString())).toEqual({ keyId: "signed" });
    expect(Buffer.from(taken[0]!)).toEqual(Buffer.from(len(1, "acme")));
  });
});

it("a key of encryption_context that is there twice is refused over Connect, gRPC-Web and gRPC", async () => {
  const pair = len(3, message(len(1, "k"), len(2, "v")));
  const bytes = message(len(1, "acme"), pair, pair);
  for (const method of ["EncryptPii", "GenerateDataKey"] as const) {
    const { status, body } = await failing(method, () => post(method, binary, bytes));
    expect([status, body.toString()]).toEqual([400, expect.stringContaining("encryption_context: has a key twice")]);
    expect((await post(method, web, frame(bytes))).body.toString()).toMatch(/grpc-status: 3\r\n/);
    const name = method === "EncryptPii" ? "encryptPii" : "generateDataKey";
    await expect(service.grpc.raw(name, bytes)).rejects.toMatchObject({ code: 3 });
    await service.grpc.raw(name, message(len(1, "acme"), pair));
  }
});

it("an answer is compressed where the caller takes it so and it is worth it", async () => {
  const tenantId = "a".repeat(2000);
  const plain = await post("Status", "application/json", JSON.stringify({ tenantId }), {
    "accept-encoding": "identity",
  });
  expect([plain.headers.get("content-encoding"), JSON.parse(plain.body.toString())]).toEqual([
    null,
    { provider: tenantId },
  ]);
  const short = await post("Status", "application/json", JSON.stringify({ tenantId }), {
    "accept-encoding": "zstd, br",
  });
  expect([short.headers.get("content-encoding"), JSON.parse(short.body.toString())]).toEqual([
    "br",
    { provider: tenantId },
  ]);
  expect((await post("Status", "application/json", "{}")).headers.get("content-encoding")).toBeNull();
});
