/** Floods of gRPC by few frames, on a clock that the test moves: what clients send counts as it should, and others are served. */
import { constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { maxConcurrentStreams } from "../../../src/transport/grpc/server.ts";
import { mostCallsInTurn } from "../../../src/transport/connections/open-connection.ts";
import { newMs } from "../../../src/transport/connections/strangers.ts";
import { eventually } from "../../support/eventually.ts";
import { echo, gated } from "../../support/stream-fixture.ts";
import { frameFlag, frameOf, frameType, preface } from "../../support/http2-frames.ts";
import { frame } from "../../support/raw-stream.ts";
import { type GrpcConnection, type GuardedPortsOptions, startGuardedPorts } from "../../support/guarded-ports.ts";

const burst = 5;
const status = () => create(StatusResponseSchema);

async function start(settings: GuardedPortsOptions["settings"], signSpans = echo) {
  const ports = await startGuardedPorts({ handlers: { status }, signSpans, settings });
  onTestFinished(() => ports.stop());
  return ports;
}

/** Opens streams one after the other, and resets each before its end. */
async function reset(connection: GrpcConnection, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const { stream } = await connection.watch();
    stream.close(constants.NGHTTP2_CANCEL);
  }
}

const { headers, continuation } = frameType;
const ping = 6;
const { endStream, endHeaders } = frameFlag;
const indexed = (index: number) => 0x80 | index;
/** `:method: POST`, `:scheme: http` and `:path: /` of the static table, and an authority that is not kept. */
const plainHead = [indexed(3), indexed(6), indexed(4), 1, 1, "x".charCodeAt(0)];

/** A bare client, which has sent its settings and got those of the service. */
async function bareClient(address: string) {
  const [host, port] = address.split(":") as [string, string];
  const socket = connect(Number(port), host).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.write(preface);
  await new Promise((resolve) => socket.once("data", resolve));
  return { socket, closed };
}

describe("streams that clients reset", () => {
  it("close the strangers of a network past its budget, and no caller's connection nor another network's", async () => {
    const { grpc, acted } = await start({ resetsPerSecond: 1 });
    const [caller, one, other] = [await grpc(), await grpc(), await grpc()];
    const elsewhere = await grpc("127.0.0.2");
    expect(await caller.call("Status", "ops")).toBe(0);
    await reset(one, burst - 2);
    await reset(other, 2);
    await Promise.all([one.closed, other.closed]);
    expect(acted).toEqual(["resets 127.0.0.1", "resets 127.0.0.1"]);
    expect([caller.isClosed(), elsewhere.isClosed()]).toEqual([false, false]);
    expect(await caller.call("Status", "ops")).toBe(0);
    expect(await elsewhere.call("Status", "ops")).toBe(0);
  });

  it("end a caller's connection past its own budget, and are counted", async () => {
    const { grpc, acted, connections } = await start({ resetsPerSecond: 1 });
    const [one, other] = [await grpc(), await grpc()];
    for (const each of [one, other]) expect(await each.call("Status", "ops")).toBe(0);
    await reset(other, burst - 1);
    await eventually(() => expect(connections.resets()).toBe(burst - 1));
    await reset(one, burst);
    await one.closed;
    expect([other.isClosed(), acted]).toEqual([false, ["resets 127.0.0.1 caller"]]);
    expect(connections.resets()).toBe(2 * burst - 1);
  });

  it("are counted too if much of them is not read yet", async () => {
    const { handler, next } = gated();
    const { grpc, connections } = await start({ resetsPerSecond: 1 }, handler);
    const client = await grpc();
    for (let n = 1; n < burst; n += 1) {
      const stream = client.begin("SignSpans", "ops");
      for (let messages = 0; messages < 50; messages += 1) stream.write(frame(Buffer.alloc(20_000)));
      await next();
      stream.close(constants.NGHTTP2_CANCEL); // before its end, for which the service has no room yet
      await eventually(() => expect(connections.resets()).toBe(n));
    }
    expect(client.isClosed()).toBe(false);
  });

  it("are none that the service resets, or that ended", async () => {
    const { grpc, connections } = await start({ resetsPerSecond: 1 });
    const client = await grpc();
    for (let n = 0; n < 2 * burst; n += 1) {
      expect(await client.call("Status", "ops")).toBe(0);
      expect(await client.call("Status", "forged")).toBe(16);
      const { end, ended } = await client.open("SignSpans", "ops");
      end();
      await ended;
    }
    expect([connections.resets(), client.isClosed()]).toEqual([0, false]);
  });
});

/** Calls that are reset at once, in one write: more than may be open, and less than the resets that may come. */
function calls(count: number): Buffer {
  const cancel = Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL);
  return Buffer.concat(
    Array.from({ length: count }, (_, n) => [
      frameOf(headers, endStream | endHeaders, 2 * n + 1, Buffer.from(plainHead)),
      frameOf(3, 0, 2 * n + 1, cancel),
    ]).flat(),
  );
}

describe("calls of one read", () => {
  it("close the connection if they are more than it may begin in a turn", async () => {
    const { grpcAddress, acted, clock } = await start({});
    const { socket, closed } = await bareClient(grpcAddress);
    socket.write(calls(2 * mostCallsInTurn));
    await closed;
    expect(acted).toEqual(["resets 127.0.0.1"]);
    clock.ms += 10_000; // those that were reset behind are owed
    await bareClient(grpcAddress);
  });

  it("do not if as many as may be open come at once", async () => {
    const { grpc, acted } = await start({});
    const client = await grpc();
    const all = Array.from({ length: maxConcurrentStreams }, () => client.call("Status", "ops"));
    expect(new Set(await Promise.all(all))).toEqual(new Set([0]));
    expect([acted, client.isClosed()]).toEqual([[], false]);
  });
});

/** Sends calls whose headers are these and more, without end. */
async function sendUntilClosed({ socket, closed }: Awaited<ReturnType<typeof bareClient>>, block: Uint8Array) {
  let isClosed = false;
  void closed.then(() => (isClosed = true));
  const payload = Buffer.concat([Buffer.from(plainHead), block]);
  for (let id = 5; !isClosed; id += 2) {
    const sent = socket.write(frameOf(headers, endStream | endHeaders, id, payload));
    await new Promise((resolve) =>
      sent || isClosed ? setImmediate(resolve) : socket.once("drain", resolve).once("close", resolve),
    );
  }
}

/** A header that is not kept, of less than 127 bytes. */
function literal(name: string, value: string): Buffer {
  const [first, second] = [name, value].map((text) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]));
  return Buffer.concat([Buffer.of(0x10), first!, second!]);
}

function statusHeaders(token: string): Buffer {
  return Buffer.concat([
    Buffer.of(indexed(3), indexed(6)),
    literal(":path", "/fluo.kms.v1.KmsService/Status"),
    ...[literal(":authority", "x"), literal("content-type", "application/grpc"), literal("te", "trailers")],
    literal("authorization", `Bearer ${token}`),
  ]);
}

const statusCall = statusHeaders("ops");
/** The message of a call, which is empty. */
const emptyMessage = Buffer.alloc(5);
const settingsAcknowledged = frameOf(4, 1, 0, new Uint8Array());

describe("references to headers", () => {
  /** A header of 4,000 bytes that the service keeps, by its number 62; and the head of a request that names it often. */
  const kept = Buffer.concat([
    Buffer.of(0x40, 1),
    Buffer.from("a"),
    Buffer.of(0x7f, 0xa1, 0x1e),
    Buffer.alloc(4_000, "v"),
  ]);
  const bomb = (references: number) => Buffer.alloc(references, indexed(62));

  it.each([
    ["in the headers of requests", 0],
    ["in a block of headers that does not end", 1],
  ])("close the connections of strangers, %s", async (_, endless) => {
    const { grpc, grpcAddress, acted, clock } = await start({ headerWorkMs: 20 });
    const [caller, stranger] = [await grpc(), await grpc()];
    expect(await caller.call("Status", "ops")).toBe(0);
    clock.ms += newMs;
    const { socket, closed } = await bareClient(grpcAddress);
    socket.write(
      frameOf(headers, endStream | (endless ? 0 : endHeaders), 1, Buffer.concat([Buffer.from(plainHead), kept])),
    );
    for (let n = 1; n <= 8; n += 1) {
      if (endless) socket.write(frameOf(continuation, 0, 1, bomb(16_000)));
      else
        socket.write(
          frameOf(headers, endStream | endHeaders, 2 * n + 1, Buffer.concat([Buffer.from(plainHead), bomb(16_000)])),
        );
    }
    await Promise.all([closed, stranger.closed]);
    expect(new Set(acted)).toEqual(new Set(["header_work 127.0.0.1"]));
    expect(await caller.call("Status", "ops")).toBe(0);
  });

  /** Blocks of headers, each with more than a request may have: node:http2 resets their streams, and nobody is told. */
  const blocks: [what: string, block: Buffer][] = [
    ["one that it keeps", bomb(12_000)],
    ["those of the static table", Buffer.alloc(12_000, indexed(16))],
    ["none, but new ones of a byte", Buffer.concat(Array(3_000).fill(Buffer.of(0x40, 1, "b".charCodeAt(0), 0)))],
  ];
  it.each(blocks.flatMap(([what, block]) => [true, false].map((acknowledges) => [what, acknowledges, block] as const)))(
    "close the connection of a caller, and the strangers of its network: %s, and it acknowledged SETTINGS: %s",
    async (_what, acknowledges, block) => {
      const { grpc, grpcAddress, acted, counts, clock } = await start({});
      const [other, elsewhere] = [await grpc(), await grpc("127.0.0.2")];
      expect(await other.call("Status", "ops")).toBe(0);
      clock.ms += newMs;
      const { socket, closed } = await bareClient(grpcAddress);
      if (acknowledges) socket.write(settingsAcknowledged);
      socket.write(
        Buffer.concat([frameOf(headers, endHeaders, 1, statusCall), frameOf(0, endStream, 1, emptyMessage)]),
      );
      await eventually(() => expect(counts()).toMatchObject({ "grpc caller": 2 }));
      socket.write(frameOf(headers, endStream | endHeaders, 3, Buffer.concat([Buffer.from(plainHead), kept])));
      await sendUntilClosed({ socket, closed }, block);
      expect(acted).toEqual(["header_work 127.0.0.1 caller"]);
      expect(await other.call("Status", "ops")).toBe(0);
      expect(await elsewhere.call("Status", "ops")).toBe(0);
    },
  );
});

describe("headers of a client that never acknowledges SETTINGS", () => {
  const big = Buffer.concat([
    Buffer.of(0x40, 1),
    Buffer.from("a"),
    Buffer.of(0x7f, 0xa1, 0x1e),
    Buffer.alloc(4_000, "v"),
  ]);

  it("are as large as those of others, and it is served", async () => {
    const { grpcAddress, counts } = await start({});
    const { socket } = await bareClient(grpcAddress);
    const codes: number[] = [];
    const { promise: reset, resolve } = Promise.withResolvers<void>();
    socket.on("data", (chunk: Buffer) => {
      for (let at = 0; at + 13 <= chunk.length; at += 9 + chunk.readUIntBE(at, 3)) {
        if (chunk[at + 3] !== 3) continue; // no RST_STREAM
        codes.push(chunk.readUInt32BE(at + 5), chunk.readUInt32BE(at + 9));
        resolve();
      }
    });
    const call = (block: Uint8Array, id: number) =>
      Buffer.concat([frameOf(headers, endHeaders, id, block), frameOf(0, endStream, id, emptyMessage)]);
    socket.write(call(Buffer.concat([statusCall, big]), 1));
    await eventually(() => expect(counts()).toEqual({ "grpc caller": 1 }));
    socket.write(call(Buffer.concat([statusCall, Buffer.alloc(5, indexed(62))]), 3));
    await reset;
    expect(codes).toEqual([3, constants.NGHTTP2_ENHANCE_YOUR_CALM]);
  });
});

/** Calls `see` with each frame that comes. */
function watchFrames(socket: Socket, see: (type: number, stream: number) => void): void {
  let unread = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    while (unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
      see(unread[3]!, unread.readUInt32BE(5));
      unread = unread.subarray(9 + unread.readUIntBE(0, 3));
    }
  });
}

describe("a caller's connection", () => {
  it("may have whole windows under way to calls that were refused", async () => {
    const { grpcAddress, acted, counts, clock } = await start({});
    const callOf = async () => {
      clock.ms += newMs;
      const client = await bareClient(grpcAddress);
      const first = [frameOf(headers, endHeaders, 1, statusCall), frameOf(0, endStream, 1, emptyMessage)];
      client.socket.write(Buffer.concat([settingsAcknowledged, ...first]));
      return client;
    };
    const [{ socket, closed }, junk] = [await callOf(), await callOf()];
    await eventually(() => expect(counts()).toEqual({ "grpc caller": 2 }));

    let awaited = { type: 0, left: 0, come: () => {} };
    watchFrames(socket, (type, stream) => {
      if (type !== awaited.type || stream === 1) return;
      awaited.left -= 1;
      if (awaited.left === 0) awaited.come();
    });
    /** Sends, until so many frames of a type have come back. */
    const send = (bytes: Uint8Array, type: number, left: number) => {
      const all = new Promise<void>((come) => (awaited = { type, left, come }));
      socket.write(bytes);
      return Promise.race([all, closed]);
    };
    // What a client may have sent before it learns of the refusals: a connection's window, in whole windows of streams.
    const [rounds, calls, pieces] = [5, 15, [16_384, 16_384, 16_384, 16_383]];
    for (let round = 0; round < rounds; round += 1) {
      const ids = Array.from({ length: calls }, (_, n) => 3 + 2 * (round * calls + n));
      const refused = ids.map((id) => frameOf(headers, endHeaders, id, statusHeaders("forged")));
      await send(Buffer.concat(refused), headers, calls);
      const bodies = ids.flatMap((id) => pieces.map((bytes) => frameOf(0, 0, id, Buffer.alloc(bytes))));
      await send(Buffer.concat([...bodies, frameOf(ping, 0, 0, Buffer.alloc(8))]), ping, 1);
    }
    // The connections are looked at in their order, so that the first one was when the second is closed.
    await sendUntilClosed(junk, Buffer.alloc(12_000, indexed(16)));
    expect(acted).toEqual(["header_work 127.0.0.1 caller"]);
    expect(socket.closed).toBe(false);
  });

  it("may have as many and as large headers and bodies as it likes, also of calls that are refused", async () => {
    const { grpc, acted } = await start({});
    const client = await grpc();
    const statuses = async (count: number, ...call: Parameters<typeof client.call>) =>
      new Set(await Promise.all(Array.from({ length: count }, () => client.call(...call))));
    for (let n = 0; n < 5; n += 1) {
      expect(await statuses(100, "Status", "ops", { headers: { "x-large": "v".repeat(8_000) } })).toEqual(new Set([0]));
      expect(await statuses(20, "Status", "ops", { bytes: 100_000 })).toEqual(new Set([3]));
      expect(await statuses(20, "Status", "forged", { bytes: 60_000 })).toEqual(new Set([16]));
    }
    const { stream, end, ended } = await client.open("SignSpans", "ops");
    for (let messages = 0; messages < 100; messages += 1) stream.write(frame(Buffer.alloc(50_000)));
    end();
    await ended;
    expect([acted, client.isClosed()]).toEqual([[], false]);
  });
});
