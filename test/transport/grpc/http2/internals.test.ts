/**
 * What internals.ts relies upon, one member a test, on a real server: a version of grpc-js or Node that changes one fails here, and says which.
 */
import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { types } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import installed from "@grpc/grpc-js/package.json" with { type: "json" };
import ours from "../../../../package.json" with { type: "json" };
import {
  afterGrpc,
  beforeGrpc,
  closeUnknownProtocols,
  countArriving,
  type HeldStream,
  holdArriving,
  interceptStreams,
  eachSession,
  hideHeader,
  http2StreamOf,
  isCompressed,
  keepBlanks,
  limitHeaders,
  readOn,
  takeArriving,
  takeMessages,
} from "../../../../src/transport/grpc/http2/internals.ts";
import { type Field, replacingFields } from "../../../support/http2-frames.ts";
import { newAuthority } from "../../../support/pki.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const grpcJs = "@grpc/grpc-js 1.14.7";
const http2 = `node:http2 of Node ${process.version}`;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

type Duplex = grpc.ServerDuplexStream<Buffer, Buffer>;
type Unary = grpc.ServerUnaryCall<Buffer, Buffer>;

interface Handlers {
  unary?: (call: Unary, answer: grpc.sendUnaryData<Buffer>) => void;
  duplex?: (call: Duplex) => void;
}

const method = (path: string, stream: boolean): grpc.MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
});

/** A server of grpc-js that is bound, and a connection of HTTP/2 to it. */
async function start(
  handlers: Handlers = {},
  prepare: { before?(server: grpc.Server): void; bound?(server: grpc.Server): void } = {},
) {
  const server = new grpc.Server({ "grpc.max_concurrent_streams": 100 });
  const { unary = (_call, answer) => answer(null, Buffer.from("answer")), duplex = (call) => call.end() } = handlers;
  server.addService({ unary: method("/test/Unary", false), duplex: method("/test/Duplex", true) }, { unary, duplex });
  prepare.before?.(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );
  prepare.bound?.(server);
  const session = connect(`http://127.0.0.1:${port}`).on("error", () => {});
  open.push(async () => {
    await destroySession(session);
    await new Promise((resolve) => server.tryShutdown(resolve));
  });
  return { server, session };
}

const frame = (text: string, flag = 0) => Buffer.from([flag, 0, 0, 0, text.length, ...Buffer.from(text)]);

function call(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}) {
  const given = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers };
  return session.request(given, { endStream: false }).on("error", () => {});
}

/** The status of a call whose answer is read and thrown away. */
async function statusOf(stream: ReturnType<typeof call>): Promise<number> {
  let status: unknown;
  stream.on("response", (headers) => (status ??= headers["grpc-status"]));
  stream.on("trailers", (headers) => (status ??= headers["grpc-status"]));
  stream.resume();
  await once(stream, "close");
  return Number(status);
}

it("the version of grpc-js is the one that these tests are about, pinned and installed", () => {
  expect([ours.dependencies["@grpc/grpc-js"], installed.version].map((version) => `@grpc/grpc-js ${version}`)).toEqual([
    grpcJs,
    grpcJs,
  ]);
});

describe(grpcJs, () => {
  it("Server.http2Servers is a Map by the HTTP/2 servers that are bound, each of which emits `session`", async () => {
    const sessions: unknown[] = [];
    const { server, session } = await start(
      {},
      { bound: (server) => eachSession(server, (each) => sessions.push(each)) },
    );
    const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
    expect(http2Servers).toBeInstanceOf(Map);
    expect([...http2Servers.keys()].map((each) => typeof each.listeners)).toEqual(["function"]);
    await once(session, "connect");
    await expect.poll(() => sessions.length).toBe(1);
  });

  it("Server.http2Servers have one listener of `stream`, which can be called by another", async () => {
    const seen: string[] = [];
    const { server, session } = await start(
      { unary: (_call, answer) => answer(null, Buffer.of(1)) },
      {
        bound(server) {
          const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
          expect([...http2Servers.keys()].map((each) => each.listenerCount("stream"))).toEqual([1]);
          beforeGrpc(server, () => seen.push("before"));
          afterGrpc(server, (stream) => seen.push(`after: ${typeof stream.respond}`));
          interceptStreams(server, (stream, headers, _rawHeaders, pass) => {
            seen.push("gate");
            if (headers["x-refused"] === undefined) pass();
            else stream.respond({ ":status": 418 }, { endStream: true });
          });
        },
      },
    );
    expect(server).toBeInstanceOf(grpc.Server);
    const served = call(session, "/test/Unary");
    served.end(frame("x"));
    expect(await statusOf(served)).toBe(grpc.status.OK);
    expect(seen).toEqual(["gate", "before", "after: function"]);
    const refused = call(session, "/test/Unary", { "x-refused": "1" });
    refused.end(frame("x"));
    const [headers] = (await once(refused, "response")) as [Record<string, unknown>];
    expect(headers[":status"]).toBe(418);
    expect(seen).toEqual(["gate", "before", "after: function", "gate"]);
  });

  it("Server.commonServerOptions.settings are the settings of its HTTP/2 servers", async () => {
    const { session } = await start({}, { before: (server) => limitHeaders(server, 12_345) });
    const [settings] = (await once(session, "remoteSettings")) as [{ maxHeaderListSize?: number }];
    expect(settings.maxHeaderListSize).toBe(12_345);
  });

  it("Server.commonServerOptions are options of its HTTP/2 servers: values keep the blanks around them by one", async () => {
    for (const keeps of [false, true]) {
      const values: unknown[] = [];
      const { session } = await start(
        {},
        {
          before: (server) => keeps && keepBlanks(server),
          bound: (server) => beforeGrpc(server, (_stream, headers) => values.push(headers["x-blanks"])),
        },
      );
      const each = call(session, "/test/Unary", { "x-blanks": " a " });
      each.end(frame("x"));
      expect(await statusOf(each)).toBe(grpc.status.OK);
      expect(values).toEqual([keeps ? " a " : undefined]);
    }
  });

  it("call.call.stream is the HTTP/2 stream of a unary call and of a stream", async () => {
    const streams: ServerHttp2Stream[] = [];
    const ofCalls: ServerHttp2Stream[] = [];
    const { session } = await start(
      {
        unary(call, answer) {
          ofCalls.push(http2StreamOf(call));
          answer(null, Buffer.of(1));
        },
        duplex(call) {
          ofCalls.push(http2StreamOf(call));
          call.end();
        },
      },
      { bound: (server) => beforeGrpc(server, (stream) => streams.push(stream)) },
    );
    for (const path of ["/test/Unary", "/test/Duplex"]) {
      const each = call(session, path);
      each.end(frame("x"));
      expect(await statusOf(each)).toBe(grpc.status.OK);
    }
    expect(ofCalls).toHaveLength(2);
    expect(ofCalls[0]).toBe(streams[0]);
    expect(ofCalls[1]).toBe(streams[1]);
  });

  it("a message lies behind its head of five bytes in one memory, as it came where grpc-encoding is hidden", async () => {
    const messages: [text: string, compressed: boolean][] = [];
    const { session } = await start(
      {
        unary(call, answer) {
          messages.push([call.request.toString(), isCompressed(call.request)]);
          answer(null, Buffer.of(1));
        },
      },
      { bound: (server) => beforeGrpc(server, (_stream, headers) => hideHeader(headers, "grpc-encoding")) },
    );
    for (const flag of [0, 1]) {
      const each = call(session, "/test/Unary", { "grpc-encoding": "gzip" });
      each.end(frame("as it came", flag));
      expect(await statusOf(each)).toBe(grpc.status.OK);
    }
    expect(messages).toEqual([
      ["as it came", false],
      ["as it came", true],
    ]);
  });

  it("grpc-timeout is read behind the listeners before its own: a call from which it is hidden has no deadline", async () => {
    const deadlines: number[] = [];
    const unary: Handlers["unary"] = (call, answer) => {
      deadlines.push(Number(call.getDeadline()));
      answer(null, Buffer.of(1));
    };
    const { session } = await start(
      { unary },
      {
        bound: (server) =>
          beforeGrpc(server, (_stream, headers) => headers["x-hide"] && hideHeader(headers, "grpc-timeout")),
      },
    );
    for (const headers of [{}, { "x-hide": "1" }]) {
      const each = call(session, "/test/Unary", { "grpc-timeout": "1H", ...headers });
      each.end(frame("x"));
      expect(await statusOf(each)).toBe(grpc.status.OK);
    }
    expect(deadlines[0]).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(deadlines[1]).toBe(Number.POSITIVE_INFINITY);
  });

  it("the messages of a stream come by its call's push", async () => {
    const taken: string[] = [];
    const given: string[] = [];
    const { session } = await start({
      duplex(call) {
        takeMessages(call, (message, pass) => {
          taken.push(String(message));
          return pass(message);
        });
        call.on("data", (message: Buffer) => given.push(message.toString()));
        call.on("end", () => call.end());
      },
    });
    const stream = call(session, "/test/Duplex");
    stream.end(Buffer.concat([frame("one"), frame("two")]));
    expect(await statusOf(stream)).toBe(grpc.status.OK);
    expect(given).toEqual(["one", "two"]);
    expect(taken).toEqual(["one", "two", "null"]);
  });

  it("an answer is written by the HTTP/2 stream's write, as one frame with a callback, in memory that is the frame's alone", async () => {
    const bytes = 100_000;
    const written: { head: number[]; length: number; alone: boolean; callback: string }[] = [];
    const { session } = await start({
      duplex(call) {
        const stream = http2StreamOf(call);
        const { write } = stream;
        stream.write = ((frame: Buffer, sent: () => void) => {
          const { length, buffer } = frame;
          const alone = length === buffer.byteLength;
          written.push({ head: [...frame.subarray(0, 5)], length, alone, callback: typeof sent });
          return write.call(stream, frame, sent as never);
        }) as typeof stream.write;
        call.write(Buffer.alloc(bytes));
        call.end();
      },
    });
    const stream = call(session, "/test/Duplex");
    stream.end();
    expect(await statusOf(stream)).toBe(grpc.status.OK);
    expect(written).toEqual([{ head: [0, 0, 1, 0x86, 0xa0], length: bytes + 5, alone: true, callback: "function" }]);
  });
});

describe(http2, () => {
  it("what comes on a stream, and its end, come by its push; what was not passed on is not read", async () => {
    const taken: string[] = [];
    const arrived = Promise.withResolvers<void>();
    const { session } = await start(
      {
        duplex(call) {
          call.on("data", () => {
            throw new Error("it was not passed on");
          });
          call.on("end", () => call.end());
        },
      },
      {
        bound: (server) =>
          afterGrpc(server, (stream) => {
            const pass = takeArriving(stream, (chunk) => {
              taken.push(chunk === null ? "end" : chunk.toString("latin1"));
              if (chunk !== null) return true;
              arrived.resolve();
              return pass(null);
            });
          }),
      },
    );
    const stream = call(session, "/test/Duplex");
    stream.end(frame("x"));
    await arrived.promise;
    expect(await statusOf(stream)).toBe(grpc.status.OK);
    expect(taken.slice(0, taken.indexOf("end")).join("")).toBe(frame("x").toString("latin1"));
  });

  it("a stream whose push returns false gets what its window has room for, and the rest once _read is called", async () => {
    const bytes = 300_000;
    let held: ServerHttp2Stream | undefined;
    let taken = 0;
    const full = Promise.withResolvers<void>();
    const all = Promise.withResolvers<void>();
    let isHeldBack = true;
    const { session } = await start(
      {},
      {
        bound: (server) =>
          interceptStreams(server, (stream) => {
            held = stream;
            takeArriving(stream, (chunk) => {
              taken += chunk?.length ?? 0;
              if (taken >= 65_535) full.resolve();
              if (taken === bytes) all.resolve();
              return !isHeldBack;
            });
            stream.resume();
          }),
      },
    );
    const stream = call(session, "/test/Duplex");
    stream.end(Buffer.alloc(bytes));
    await full.promise;
    // Behind the answer to a ping nothing more of the stream can be under way.
    await new Promise((resolve) => session.ping(() => resolve(undefined)));
    expect(taken).toBe(65_535);
    isHeldBack = false;
    readOn(held!);
    await all.promise;
    expect(taken).toBe(bytes);
  });

  it("what comes is counted by its push, also on a stream that was held before", async () => {
    let counted = 0;
    const count = countArriving((_stream, bytes) => {
      counted += bytes;
    });
    const arrived = Promise.withResolvers<void>();
    const came = Promise.withResolvers<HeldStream>();
    const { session } = await start(
      { unary: (_call, answer) => answer(null, Buffer.of(1)) },
      {
        bound: (server) =>
          interceptStreams(server, (stream, _headers, _rawHeaders, pass) => {
            count(stream);
            const held = holdArriving(stream, { arrived: () => arrived.resolve(), keeps: () => true });
            came.resolve({ ...held, release: () => held.release(pass) });
          }),
      },
    );
    const request = call(session, "/test/Unary");
    const message = frame("a message");
    request.write(message.subarray(0, 7));
    const held = await came.promise;
    await arrived.promise;
    expect(held.bytes()).toBe(7);
    expect(counted).toBe(0);
    held.release(() => {});
    request.end(message.subarray(7));
    expect(await statusOf(request)).toBe(grpc.status.OK);
    expect(counted).toBe(message.length);
  });

  it.each([true, false])(
    "a stream that was held and is dropped closes behind its answer, with or without its end before: %s",
    async (isWhole) => {
      const came = Promise.withResolvers<[HeldStream, ServerHttp2Stream]>();
      const { session } = await start(
        {},
        {
          bound: (server) =>
            interceptStreams(server, (stream) => {
              const held = holdArriving(stream, { arrived() {}, keeps: () => true });
              came.resolve([held, stream]);
            }),
        },
      );
      const request = call(session, "/test/Unary");
      if (isWhole) request.end(frame("a"));
      else request.write(frame("a"));
      const [held, stream] = await came.promise;
      await expect.poll(() => held.bytes()).toBe(frame("a").length);
      await new Promise((resolve) => session.ping(() => resolve(undefined)));
      held.drop();
      const closed = once(stream, "close");
      stream.respond({ ":status": 200 }, { endStream: true });
      if (!isWhole) stream.close();
      request.resume();
      await closed;
      expect(stream.destroyed).toBe(true);
    },
  );

  it("a client with TLS that names no protocol, or is not spoken to, makes `unknownProtocol`, and is closed", async () => {
    const { chain, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
    const pair = { cert_chain: Buffer.from(chain), private_key: Buffer.from(key) };
    const server = new grpc.Server();
    open.push(() => new Promise((resolve) => server.tryShutdown(() => resolve())));
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("localhost:0", grpc.ServerCredentials.createSsl(null, [pair]), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    closeUnknownProtocols(server);
    const socket = tlsConnect({ port, host: "localhost", rejectUnauthorized: false }).on("error", () => {});
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
    await new Promise((resolve) => socket.on("close", resolve));
    expect(bytes).toBe(0);
  });

  it("a field with a control character is left out of a request, of which no event tells", async () => {
    const seen: unknown[] = [];
    const server = createServer();
    for (const name of ["sessionError", "streamError", "clientError"]) server.on(name, () => seen.push(name));
    server.on("session", (session) => {
      for (const name of ["error", "frameError"]) session.on(name, () => seen.push(name));
    });
    server.on("stream", (stream: ServerHttp2Stream, _headers, _flags, rawHeaders) => {
      for (const name of ["error", "frameError", "aborted"]) stream.on(name, () => seen.push(name));
      seen.push(rawHeaders);
      stream.respond({ ":status": 200 }, { endStream: true });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const fields: Field[] = [
      ...([
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/"],
        [":authority", "localhost"],
      ] as const),
      ...([
        ["x-one", "a\x01"],
        ["x-two", "b"],
      ] as const),
    ];
    const socket = replacingFields(connectTcp(port, "127.0.0.1"), fields);
    const session = connect("http://localhost", { createConnection: () => socket }).on("error", () => {});
    const stream = session.request().on("error", () => {});
    await new Promise((resolve) => stream.resume().once("close", resolve));
    await destroySession(session);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(seen).toEqual([fields.filter(([name]) => name !== "x-one").flat()]);
  });

  it("a session keeps its streams in a Map, in an object that a symbol of its own names", async () => {
    const maps: unknown[] = [];
    const { session } = await start(
      {},
      {
        bound: (server) =>
          eachSession(server, (each) => {
            const hidden = each as unknown as Record<symbol, { streams?: unknown } | undefined>;
            for (const symbol of Object.getOwnPropertySymbols(each)) {
              if (hidden[symbol]?.streams !== undefined) maps.push(hidden[symbol].streams);
            }
          }),
      },
    );
    await once(session, "connect");
    await expect.poll(() => maps.length).toBe(1);
    expect(types.isMap(maps[0])).toBe(true);
  });
});
