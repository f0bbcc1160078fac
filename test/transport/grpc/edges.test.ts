/** gRPC at its edges: what grpc-js would call INTERNAL, or refuse without a word in the log, is refused as the caller's mistake and recorded. */
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { frame, openRaw } from "../../support/raw-stream.ts";
import { len, message } from "../../support/otlp-wire.ts";
import { startTransports, type Transports } from "../../support/transports-fixture.ts";

let service: Transports;
beforeAll(async () => {
  service = await startTransports({
    status: async ({ tenantId }) => create(StatusResponseSchema, { notices: [tenantId.repeat(1000)] }),
    validate: ({ tenantId }, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))).then(() => {
        throw new Error(tenantId);
      }),
  });
});
afterAll(() => service.stop());

const kms = "/fluo.kms.v1.KmsService";
const health = "/grpc.health.v1.Health";
const reflections = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

interface Answer {
  grpcStatus: number;
  message: string;
  pushback: unknown;
  logged: { method: string; code: string }[];
}

/** Sends `body` and its end, and waits until the stream is closed: by then the call is recorded. */
async function call(path: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
  const lines = service.logged.length;
  const { session, stream, reset } = openRaw(service.grpcAddress, { ":path": path, ...headers });
  const seen: Record<string, unknown> = {};
  stream.on("response", (given) => Object.assign(seen, given));
  stream.on("trailers", (given) => Object.assign(seen, given));
  stream.resume();
  stream.end(body);
  await reset;
  await new Promise<void>((resolve) => session.close(resolve));
  const logged = await untilLogged(lines);
  const pushback = seen["grpc-retry-pushback-ms"];
  return {
    grpcStatus: Number(seen["grpc-status"]),
    message: decodeURI(String(seen["grpc-message"])),
    pushback,
    logged,
  };
}

/** The server closes its side of a stream soon after the client does. A call that succeeds leaves no line: this one does. */
async function untilLogged(lines: number) {
  const { stream } = openRaw(service.grpcAddress, { ":path": "/the/end", "content-type": "text/plain" });
  stream.resume();
  stream.end();
  const logged = () => service.logged.slice(lines).map((line) => JSON.parse(line));
  const isEnd = ({ method, msg }: { method: string; msg: string }) => method === "unknown" && /content-type/.test(msg);
  while (!logged().some(isEnd)) await new Promise(setImmediate);
  stream.session?.close();
  const all = logged();
  all.splice(all.findLastIndex(isEnd), 1);
  return all;
}

const invalid = 3;

describe("a grpc-timeout", () => {
  it.each(["soon", "10", "S", "10 S", "10s", "123456789S", "-1S", "1S,1S", "1Sx", "x1S", "１S"])(
    "%s is INVALID_ARGUMENT, for our rpcs and others",
    async (timeout) => {
      const value = Buffer.from(timeout).toString("latin1");
      for (const [path, method] of [
        [`${kms}/Status`, "Status"],
        [`${kms}/SignSpans`, "SignSpans"],
        [`${health}/Check`, "unknown"],
        ...reflections.map((path) => [path, "unknown"]),
      ] as [string, string][]) {
        const { grpcStatus, message, logged } = await call(path, frame(Buffer.of()), { "grpc-timeout": value });
        expect([grpcStatus, message]).toEqual([invalid, expect.stringContaining("grpc-timeout")]);
        expect(logged).toMatchObject([{ method, code: "INVALID_ARGUMENT" }]);
      }
    },
  );

  it.each(["1H", "99999999H", "600000M", "99999999S", "10000000m"])("%s is served", async (timeout) => {
    const { grpcStatus, logged } = await call(`${kms}/Status`, frame(Buffer.of()), { "grpc-timeout": timeout });
    expect([grpcStatus, logged]).toEqual([0, []]);
  });

  it("that passes is DEADLINE_EXCEEDED, recorded once, also before the request is whole", async () => {
    const late = { "grpc-timeout": "1m" };
    const waiting = await call(`${kms}/Validate`, frame(Buffer.of()), late);
    expect(waiting).toMatchObject({ grpcStatus: 4, logged: [{ method: "Validate", code: "DEADLINE_EXCEEDED" }] });
    const { session, stream, status } = openRaw(service.grpcAddress, { ":path": `${kms}/Status`, ...late });
    const lines = service.logged.length;
    stream.write(frame(Buffer.of(), 5));
    expect(await status()).toBe(4);
    stream.end();
    await new Promise<void>((resolve) => session.close(resolve));
    expect(await untilLogged(lines)).toMatchObject([{ method: "Status", code: "DEADLINE_EXCEEDED" }]);
  });
});

const broken: [string, Uint8Array][] = [
  ["a field past its end", Buffer.from("0a0561", "hex")],
  ["the field number 0", Buffer.from("0000", "hex")],
  ["a varint without an end", Buffer.from("08ffffffffffffffffffff", "hex")],
  ["the wire type 7", Buffer.from("0f", "hex")],
];

describe.each(broken)("a message with %s", (_what, bytes) => {
  it.each([`${health}/Check`, `${health}/Watch`, `${health}/List`, ...reflections])(
    "is INVALID_ARGUMENT for %s, plain and compressed",
    async (path) => {
      for (const [body, headers] of [
        [frame(bytes), {}],
        [frame(gzipSync(bytes), undefined, 1), { "grpc-encoding": "gzip" }],
      ] as const) {
        const { grpcStatus, logged } = await call(path, body, headers);
        expect(grpcStatus).toBe(invalid);
        expect(logged).toMatchObject([{ method: "unknown", code: "INVALID_ARGUMENT" }]);
      }
    },
  );
});

describe("health", () => {
  it.each(["ff", "eda080", "c080"])("refuses a name that is not UTF-8: %s", async (hex) => {
    const answer = await call(`${health}/Check`, frame(message(len(1, Buffer.from(hex, "hex")))));
    expect(answer).toMatchObject({ grpcStatus: invalid, logged: [{ code: "INVALID_ARGUMENT" }] });
  });

  it("finds no service of another name, which is recorded; and those that it serves", async () => {
    const other = await call(`${health}/Check`, frame(message(len(1, "other"))));
    expect(other).toMatchObject({ grpcStatus: 5, logged: [{ code: "NOT_FOUND" }] });
    expect(await call(`${health}/Check`, frame(Buffer.of()))).toMatchObject({ grpcStatus: 0, logged: [] });
  });

  it("refuses what cannot be decompressed, and what becomes large", async () => {
    const zip = { "grpc-encoding": "gzip" };
    const none = await call(`${health}/Check`, frame(Buffer.from("no gzip"), undefined, 1), zip);
    expect(none).toMatchObject({ grpcStatus: invalid, logged: [{ code: "INVALID_ARGUMENT" }] });
    const large = await call(`${health}/Check`, frame(gzipSync(Buffer.alloc(1_000_000)), undefined, 1), zip);
    expect(large).toMatchObject({ grpcStatus: 8, logged: [{ code: "RESOURCE_EXHAUSTED" }] });
  });
});

describe("what grpc-js refuses by itself is recorded", () => {
  it.each<[string, string, Uint8Array, Record<string, string>, number, string, string]>([
    ["a path that is none", "/a/b", Buffer.of(), {}, 12, "unknown", "UNIMPLEMENTED"],
    ["a rpc that is none", `${kms}/Nothing`, Buffer.of(), {}, 12, "unknown", "UNIMPLEMENTED"],
    ["a path with a query", `${kms}/Status?`, Buffer.of(), {}, 12, "unknown", "UNIMPLEMENTED"],
    [
      "another media type",
      `${kms}/Status`,
      Buffer.of(),
      { "content-type": "text/plain" },
      3,
      "Status",
      "INVALID_ARGUMENT",
    ],
    ["no message", `${kms}/Status`, Buffer.of(), {}, 12, "Status", "UNIMPLEMENTED"],
    [
      "two messages",
      `${kms}/Status`,
      Buffer.concat([frame(Buffer.of()), frame(Buffer.of())]),
      {},
      12,
      "Status",
      "UNIMPLEMENTED",
    ],
    ["a message past 4 MiB", `${kms}/Status`, frame(Buffer.of(), 2 ** 32 - 1), {}, 8, "Status", "RESOURCE_EXHAUSTED"],
    [
      "an unknown compression",
      `${kms}/Status`,
      frame(Buffer.of(1), 1, 1),
      { "grpc-encoding": "zstd" },
      12,
      "Status",
      "UNIMPLEMENTED",
    ],
    [
      "an answer past 4 MiB",
      `${kms}/Status`,
      frame(message(len(1, "a".repeat(5000)))),
      {},
      8,
      "Status",
      "RESOURCE_EXHAUSTED",
    ],
  ])("%s", async (_what, path, body, headers, grpcStatus, method, code) => {
    const answer = await call(path, body, headers);
    expect(answer).toMatchObject({ grpcStatus, logged: [{ method, code }] });
    // A client that repeats what is too large sends megabytes in vain.
    expect(answer.pushback).toBe(code === "RESOURCE_EXHAUSTED" ? "-1" : undefined);
  });

  it("and what it serves leaves no line", async () => {
    expect(await call(`${kms}/Status`, frame(message(len(1, "a"))))).toMatchObject({ grpcStatus: 0, logged: [] });
  });
});
