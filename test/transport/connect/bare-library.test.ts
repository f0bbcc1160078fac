/**
 * The same requests to the service and to connect-node alone. What the service accepts, the library accepts; where the
 * service is stricter, or refuses by another code, the reason is one of those named here.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { EncryptPiiResponseSchema } from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { outliveBody } from "../../../src/transport/http/body.ts";
import { maxMessageBytes } from "../../../src/transport/limits.ts";
import { len, message, varint } from "../../support/otlp-wire.ts";
import { frame } from "../../support/raw-stream.ts";
import { startTransports, type Transports } from "../../support/transports-fixture.ts";

const handlers = {
  status: () => create(StatusResponseSchema, { provider: "p" }),
  encryptPii: () => create(EncryptPiiResponseSchema, { keyId: "k" }),
  generateDataKey: () => create(GenerateDataKeyResponseSchema, { keyId: "k" }),
};

let service: Transports;
let bare: Server;
beforeAll(async () => {
  service = await startTransports(handlers);
  const routes = connectNodeAdapter({
    routes: (router) => void router.service(KmsService, handlers),
    grpc: false,
    readMaxBytes: maxMessageBytes,
  });
  bare = createServer((request, response) => {
    // The library destroys the connection of a body that it refuses half-read, and the answer may be lost with it.
    request[Symbol.asyncIterator] = () => request.iterator({ destroyOnReturn: false });
    outliveBody(request, response);
    routes(request, response);
  });
  await new Promise<void>((resolve) => bare.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  bare.close();
  await service.stop();
});

interface Request {
  what: string;
  verb: string;
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

interface Outcome {
  status: number;
  /** Of Connect, or of gRPC by its number; undefined for a success, and for a refusal without a body. */
  code: string | undefined;
}

const methods = ["Status", "EncryptPii", "GenerateDataKey"] as const;
const path = (method: string) => `/fluo.kms.v1.KmsService/${method}`;
const text = (value: string) => Buffer.from(value);

/** Messages of the three methods, in binary. */
const binaries: [what: string, bytes: Uint8Array][] = [
  ["no field", Buffer.of()],
  ["a tenant", len(1, "acme")],
  ["a tenant twice, of which the last counts", message(len(1, "a"), len(1, "b"))],
  ["a field that is not known", varint(99, 1)],
  ["a field past its end", Buffer.from("0a0561", "hex")],
  ["the field number 0", Buffer.from("0000", "hex")],
  ["a varint without an end", Buffer.from("08ffffffffffffffffffff", "hex")],
  ["text that is not UTF-8", len(1, Buffer.of(0xff))],
  ["the wire type 7", Buffer.from("0f", "hex")],
  ["groups within groups", Buffer.alloc(10_000, 0x0b)],
  ["a key of a map twice", message(...Array(2).fill(len(3, message(len(1, "k"), len(2, "v")))))],
  ["more than 4 MiB", Buffer.alloc(maxMessageBytes + 1)],
];

const jsons: [what: string, bytes: Uint8Array][] = [
  ["no member", text("{}")],
  ["a tenant", text('{"tenantId":"acme"}')],
  ["a tenant by the proto's name", text('{"tenant_id":"acme"}')],
  ["null for a member", text('{"tenantId":null}')],
  ["a member that is not known", text('{"tennant":"acme"}')],
  ["a member twice", text('{"tenantId":"a","tenantId":"b"}')],
  ["a member by both names", text('{"tenantId":"a","tenant_id":"b"}')],
  ["a number for a text", text('{"tenantId":7}')],
  ["a list", text("[]")],
  ["text", text('"x"')],
  ["null", text("null")],
  ["nothing", Buffer.of()],
  ["half of it", text('{"tenantId":')],
  ["a comma too many", text('{"tenantId":"a",}')],
  ["two of them", text("{}{}")],
  ["a byte order mark", text("\ufeff{}")],
  ["text that is not UTF-8", Buffer.concat([text('{"tenantId":"'), Buffer.of(0xff), text('"}')])],
  ["a lone surrogate", text('{"tenantId":"\\ud800"}')],
  ["more than 4 MiB", Buffer.concat([text('{"tenantId":"'), Buffer.alloc(maxMessageBytes, 0x61), text('"}')])],
];

const framings: [what: string, (bytes: Uint8Array) => Uint8Array][] = [
  ["half a head", () => Buffer.of(0, 0)],
  ["no frame", () => Buffer.of()],
  ["a frame that is cut", (bytes) => frame(bytes, bytes.length + 1)],
  ["two frames", (bytes) => Buffer.concat([frame(bytes), frame(bytes)])],
  ["trailers", (bytes) => frame(bytes, bytes.length, 0x80)],
  ["flags that are not known", (bytes) => frame(bytes, bytes.length, 0x10)],
  ["a compressed frame without a compression", (bytes) => frame(bytes, bytes.length, 1)],
];

const mediaTypes = [
  ...["application/json; charset=utf-8", "application/json;charset=utf8", "application/json; charset=latin1"],
  ...[
    "APPLICATION/JSON",
    "application/json,application/proto",
    "application/connect+json",
    "application/connect+proto",
  ],
  ...["application/grpc", "application/grpc-web-text", "application/grpc-web-text+proto", "text/plain", ""],
];

const compressions: [name: string, (bytes: Uint8Array) => Uint8Array][] = [
  ["identity", (bytes) => bytes],
  ["gzip", gzipSync],
  ["br", brotliCompressSync],
  ["gzip", () => text("no gzip")],
  ["gzip", (bytes) => gzipSync(bytes).subarray(0, 12)],
  ["zstd", (bytes) => bytes],
  ["gzip, br", gzipSync],
  ["gzip", () => gzipSync(Buffer.alloc(maxMessageBytes + 1))],
];

function* requests(): Generator<Request> {
  const post = (method: string, type: string, body: Uint8Array, more: Record<string, string> = {}) => ({
    verb: "POST",
    path: path(method),
    headers: { ...(type !== "" && { "content-type": type }), ...more },
    body,
  });
  const get = (query: Record<string, string>) => ({
    verb: "GET",
    path: `${path("Status")}?${new URLSearchParams({ connect: "v1", ...query })}`,
    headers: {},
  });
  for (const method of methods) {
    for (const [what, bytes] of binaries) {
      yield { what, ...post(method, "application/proto", bytes) };
      yield { what, ...post(method, "application/grpc-web+proto", frame(bytes)) };
    }
    for (const [what, bytes] of jsons) {
      yield { what, ...post(method, "application/json", bytes) };
      yield { what, ...post(method, "application/grpc-web+json", frame(bytes)) };
    }
    for (const [what, framed] of framings) yield { what, ...post(method, "application/grpc-web", framed(Buffer.of())) };
    for (const type of mediaTypes) yield { what: `the media type ${type}`, ...post(method, type, text("{}")) };
    for (const verb of ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      yield { what: verb, verb, path: path(method), headers: { "content-type": "application/json" } };
    }
  }
  for (const [name, compress] of compressions) {
    const bytes = compress(text("{}"));
    yield { what: `compressed as ${name}`, ...post("Status", "application/json", bytes, { "content-encoding": name }) };
    const framed = frame(compress(Buffer.of()), undefined, 1);
    yield {
      what: `compressed as ${name}`,
      ...post("Status", "application/grpc-web", framed, { "grpc-encoding": name }),
    };
    yield {
      what: `compressed as ${name}`,
      ...get({
        encoding: "json",
        base64: "1",
        compression: name,
        message: Buffer.from(bytes).toString("base64url").slice(0, 9_000),
      }),
    };
  }
  for (const given of ["0", "60000", "2147483647", "99999999999", "soon", "-1", "1.5", "", " 5"]) {
    yield {
      what: `the timeout ${given}`,
      ...post("EncryptPii", "application/json", text("{}"), { "connect-timeout-ms": given }),
    };
  }
  for (const given of ["60S", "60000m", "500H", "999999999H", "5", "S", "-1S", "1 S", ""]) {
    yield {
      what: `the timeout ${given}`,
      ...post("EncryptPii", "application/grpc-web", frame(Buffer.of()), { "grpc-timeout": given }),
    };
  }
  for (const query of [
    ...[
      { encoding: "json", message: "{}" },
      { encoding: "proto", message: "" },
      { encoding: "proto" },
      { encoding: "json" },
    ],
    ...[{ message: "{}" }, { encoding: "xml", message: "{}" }, { encoding: "json", message: "{" }],
    ...[
      { encoding: "json", base64: "1", message: "e30" },
      { encoding: "json", base64: "1", message: "e30=" },
    ],
    ...[
      { encoding: "json", base64: "1", message: "a\u00e9" },
      { encoding: "json", base64: "true", message: "e30" },
    ],
    ...[
      { encoding: "json", compression: "zstd", message: "{}" },
      { encoding: "json", message: "{}", connect: "v2" },
      { encoding: "proto", base64: "1", message: "CgVh" },
      { encoding: "json", message: '{"tennant":1}' },
    ],
  ]) {
    yield { what: `the query ${JSON.stringify(query)}`, ...get(query as Record<string, string>) };
  }
}

async function ask(url: string, { verb, path, headers, body }: Request): Promise<Outcome> {
  const init = { method: verb, headers, ...(body && { body: Buffer.from(body) }) };
  const response = await fetch(`${url}${path}`, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/grpc-web")) {
    const status = /grpc-status: (\d+)/.exec(bytes.toString("latin1"))?.[1];
    return { status: response.status, code: status === "0" ? undefined : status };
  }
  return {
    status: response.status,
    code: response.ok || bytes.length === 0 ? undefined : JSON.parse(bytes.toString()).code,
  };
}

const succeeded = ({ status, code }: Outcome) => status === 200 && code === undefined;
/** Of gRPC-Web, by the names of Connect. */
const names: Record<string, string> = {
  "3": "invalid_argument",
  "8": "resource_exhausted",
  "12": "unimplemented",
  "13": "internal",
};
const nameOf = ({ code = "none" }: Outcome) => names[code] ?? code;

/** By what the service and the library answer. */
const reasons: [reason: string, ours: string, theirs: string, what: RegExp][] = [
  [
    "what is served is said, where the library gives a bare status",
    "invalid_argument",
    "none",
    /^the media type|^[A-Z]+$|^the query/,
  ],
  [
    "a message that does not parse is the caller's fault, and no failure of the service",
    "invalid_argument",
    "internal",
    /./,
  ],
  [
    "a request that is not one message is wrong, and not a feature that is missing",
    "invalid_argument",
    "unimplemented",
    /frame|trailers/,
  ],
  ["a misspelt member would be taken for one that was left out", "invalid_argument", "OK", /not known|tennant/],
  ["another reader would take another of two values", "invalid_argument", "OK", /twice|by both names/],
  ["another reader would take another text", "invalid_argument", "OK", /UTF-8|surrogate|byte order mark/],
];

it("the service is never laxer than the library, and stricter for reasons", async () => {
  const { port } = bare.address() as AddressInfo;
  const unexplained: string[] = [];
  const counts = new Map<string, number>();
  let all = 0;
  for (const request of requests()) {
    all += 1;
    const [ours, theirs] = [await ask(service.url, request), await ask(`http://127.0.0.1:${port}`, request)];
    const [our, their] = [ours, theirs].map((each) => (succeeded(each) ? "OK" : nameOf(each)));
    if (our === their && ours.status === theirs.status) continue;
    const reason = reasons.find(([, mine, other, what]) => mine === our && other === their && what.test(request.what));
    if (reason) counts.set(reason[0], (counts.get(reason[0]) ?? 0) + 1);
    else
      unexplained.push(
        `${request.verb} ${request.headers["content-type"]} ${request.what}: ${ours.status} ${our}, and ${theirs.status} ${their} of the library`,
      );
  }
  expect(unexplained).toEqual([]);
  expect(all).toBe(315);
  expect(reasons.map(([reason]) => reason).filter((reason) => !counts.has(reason))).toEqual([]);
});
