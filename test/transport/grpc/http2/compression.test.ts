/** Compressed messages: they are read like any other, and none takes memory before its call or stream has room for it. */
import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { KmsService } from "../../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { EncryptPiiRequestSchema, EncryptPiiResponseSchema } from "../../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { decompress } from "../../../../src/transport/decompress.ts";
import { frame } from "../../../support/raw-stream.ts";
import { failureOf } from "../../../support/running-service.ts";
import { startTransports, type Transports } from "../../../support/transports-fixture.ts";
import { answers, gated, rawStream, startStreams } from "../../../support/stream-fixture.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const mebibyte = 1024 * 1024;
const { gzip, deflate } = grpc.compressionAlgorithms;
const bombBytes = 4 * mebibyte - 100;
const bomb = frame(gzipSync(Buffer.alloc(bombBytes)), undefined, 1);
const encryptPii = `/${KmsService.typeName}/EncryptPii`;
const compressedBy = (encoding: string, path = `/${KmsService.typeName}/SignSpans`) => ({
  ":path": path,
  "grpc-encoding": encoding,
});

async function start(...given: Parameters<typeof startTransports>): Promise<Transports> {
  const transports = await startTransports(...given);
  onTestFinished(() => transports.stop());
  return transports;
}

/** A unary call by a client that compresses. */
function compressedCall(target: string, algorithm: grpc.compressionAlgorithms, request: Uint8Array, path = encryptPii) {
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": algorithm,
    "grpc.max_send_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
  });
  onTestFinished(() => client.close());
  const write = (bytes: Uint8Array) => Buffer.from(bytes);
  const read = (bytes: Buffer) => bytes;
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(path, write, read, request, (error, answer) => (error ? reject(error) : resolve(answer!)));
  });
}

/** Bytes that lie outside the heap, without those that nobody holds: another thread frees them after a collection, and the next one waits for it. */
function externalBytes(): number {
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

const oneField = (bytes: number) =>
  toBinary(
    EncryptPiiRequestSchema,
    create(EncryptPiiRequestSchema, { tenantId: "acme", fields: [{ name: "n", value: Buffer.alloc(bytes, "v") }] }),
  );

/** Answers with how many bytes came. */
const lengths = { encryptPii: ({ fields }: { fields: { value: Uint8Array }[] }) => answerOf(fields[0]!.value.length) };
const answerOf = (length: number) => create(EncryptPiiResponseSchema, { keyId: String(length) });
const textOf = (answer: Uint8Array) => Buffer.from(answer.subarray(2)).toString();

describe("decompressing", () => {
  const small = gzipSync(Buffer.alloc(10));

  it("is for as many as may wait, and the next is OVERLOADED", async () => {
    vi.resetModules(); // those of other tests may wait still
    const { decompress } = await import("../../../../src/transport/decompress.ts");
    const all = await Promise.allSettled(Array.from({ length: 1_010 }, () => decompress(small, 100, () => true)));
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1_002);
    for (const each of all.slice(1_002)) expect(each).toMatchObject({ reason: { code: "OVERLOADED" } });
    await expect(decompress(small, 100, () => true)).resolves.toHaveLength(10);
  });

  it("is left out where the caller has left meanwhile, and the next has its turn", async () => {
    const [first, second, third] = [true, true, false].map((wanted) => decompress(small, 100, () => wanted));
    await expect(third).rejects.toMatchObject({ code: "CANCELLED" });
    await Promise.all([first, second, decompress(small, 100, () => true)]);
  });
});

describe("a call", () => {
  it.each([
    ["gzip", gzip],
    ["deflate", deflate],
  ])("may come compressed by %s", async (_name, algorithm) => {
    const { grpcAddress } = await start(lengths);
    expect(textOf(await compressedCall(grpcAddress, algorithm, oneField(50_000)))).toBe("50000");
  });

  it("is INVALID_ARGUMENT where it cannot be decompressed, and says by what it can", async () => {
    const { grpcAddress } = await start(lengths);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip", encryptPii));
    stream.end(frame(Buffer.from("not gzip"), undefined, 1));
    expect(await status()).toBe(grpc.status.INVALID_ARGUMENT);
  });

  it("may say that it may be compressed, and not be", async () => {
    const { grpcAddress, metrics } = await start(lengths);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip", encryptPii));
    stream.end(frame(oneField(10)));
    expect(await status()).toBe(grpc.status.OK);
    expect(await metrics()).toMatch(/rpc_method="EncryptPii",rpc_response_status_code="OK"/);
  });

  it("is RESOURCE_EXHAUSTED where it becomes more than a message may be", async () => {
    const { grpcAddress } = await start(lengths);
    const failure = await failureOf(compressedCall(grpcAddress, gzip, oneField(4 * mebibyte)));
    expect(failure).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, reason: "MESSAGE_TOO_LARGE" });
  });

  it("counts in the budget as large as it becomes", async () => {
    const { grpcAddress, budget } = await start(lengths, { budgetBytes: 100_000 });
    const failure = await failureOf(compressedCall(grpcAddress, gzip, oneField(101_000)));
    expect(failure).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, reason: "OVERLOADED", retry: true });
    expect(textOf(await compressedCall(grpcAddress, gzip, oneField(90_000)))).toBe("90000");
    expect(budget.calls()).toBe(0);
  });

  it("is not decompressed before the caller has sent all of it", async () => {
    const { grpcAddress, grpc: other } = await start(lengths);
    await other.encryptPii({ tenantId: "acme", fields: [{ name: "n" }] });
    const before = externalBytes();
    const { session } = rawStream(grpcAddress, compressedBy("gzip", encryptPii));
    const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
    for (let each = 0; each < 90; each += 1) {
      const stream = session.request({ ...headers, ...compressedBy("gzip", encryptPii) }).on("error", () => {});
      await new Promise<void>((resolve) => stream.write(bomb, () => resolve()));
    }
    await new Promise((resolve) => session.ping((_error, ms) => resolve(ms)));
    await other.encryptPii({ tenantId: "acme", fields: [{ name: "n" }] });
    expect(externalBytes() - before).toBeLessThan(20 * mebibyte);
  });
});

describe("health and reflection", () => {
  const check = "/grpc.health.v1.Health/Check";

  it("may be asked compressed", async () => {
    const { grpcAddress, becomes } = await start(lengths);
    becomes("operational");
    const name = Buffer.from(KmsService.typeName);
    const request = Buffer.concat([Buffer.of(0x0a, name.length), name]);
    for (const algorithm of [gzip, deflate]) {
      expect(await compressedCall(grpcAddress, algorithm, request, check)).toEqual(Buffer.of(8, 1));
    }
  });

  it.each([
    ["becomes large", Buffer.alloc(80_000)],
    ["is large, whatever it becomes", randomBytes(80_000)],
  ])("read no message that %s", async (_what, message) => {
    const { grpcAddress, becomes } = await start(lengths);
    becomes("operational");
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip", check));
    const unknown = Buffer.concat([Buffer.of(0x7a, 0x80, 0xf1, 0x04), message]); // field 15, of 80,000 bytes
    stream.end(frame(gzipSync(unknown), undefined, 1));
    expect(await status()).toBe(grpc.status.RESOURCE_EXHAUSTED);
    const small = rawStream(grpcAddress, compressedBy("gzip", check));
    small.stream.end(frame(gzipSync(Buffer.of(0x7a, 0)), undefined, 1));
    expect(await small.status()).toBe(grpc.status.OK);
  });
});

describe("a stream", () => {
  it("has its messages taken in their order, compressed or not", async () => {
    const { grpcAddress } = await startStreams(() => ({
      take: async (message) => answers(Buffer.from(`${message.length};`)),
    }));
    const { stream } = rawStream(grpcAddress, compressedBy("deflate"));
    const compressed = (length: number) => frame(deflateSync(Buffer.alloc(length)), undefined, 1);
    const sent = [3_000_000, 1, 200_000, 2, 3, 100_000, 4, 5, 6, 7, 8, 9];
    stream.end(
      Buffer.concat(sent.map((length) => (length % 1000 === 0 ? compressed(length) : frame(Buffer.alloc(length))))),
    );
    const read: Buffer[] = [];
    for await (const chunk of stream) read.push(chunk);
    expect(Buffer.concat(read).toString().match(/\d+;/g)).toEqual(sent.map((length) => `${length};`));
  });

  it("has no message taken behind one that cannot be decompressed", async () => {
    const gate = gated();
    const { grpcAddress, budget } = await startStreams(gate.handler);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip"));
    stream.write(Buffer.concat([frame(Buffer.alloc(1)), frame(Buffer.alloc(9), undefined, 1), frame(Buffer.alloc(2))]));
    const { answer } = await gate.next();
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    stream.write(frame(Buffer.alloc(3)));
    answer(Buffer.of(1));
    expect(await status()).toBe(grpc.status.INVALID_ARGUMENT);
    expect(gate.count()).toBe(1);
    await expect.poll(() => budget.streams.held()).toBe(0);
  });

  it("has one message at a time decompressed where they become large", async () => {
    const gate = gated();
    const { grpcAddress, budget } = await startStreams(gate.handler);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip"));
    stream.end(Buffer.concat([bomb, bomb, bomb]));
    for (let each = 1; each <= 3; each += 1) {
      const { message, answer } = await gate.next();
      expect([message.length, gate.count()]).toEqual([bombBytes, each]);
      expect(budget.streams.held()).toBeLessThan(4.1 * mebibyte);
      answer(Buffer.of(each));
    }
    expect(await status()).toBe(grpc.status.OK);
  });

  it("has several at work where they are small", async () => {
    const gate = gated();
    const { grpcAddress } = await startStreams(gate.handler);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip"));
    const small = frame(gzipSync(Buffer.alloc(1000)), undefined, 1);
    stream.end(Buffer.concat(new Array(16).fill(small)));
    for (const inAll of [8, 16]) {
      const taken = await Promise.all(Array.from({ length: 8 }, () => gate.next()));
      expect(gate.count()).toBe(inAll);
      for (const { answer } of taken) answer(Buffer.of(1));
    }
    expect(await status()).toBe(grpc.status.OK);
  });

  it("has as many at work as it has room for", async () => {
    const gate = gated();
    const { grpcAddress, budget } = await startStreams(gate.handler);
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip"));
    stream.end(Buffer.concat(new Array(6).fill(frame(gzipSync(Buffer.alloc(300_000)), undefined, 1))));
    for (const inAll of [2, 4, 6]) {
      const taken = [await gate.next(), await gate.next()];
      for (let turn = 0; turn < 50; turn += 1) await setImmediate();
      expect(gate.count()).toBe(inAll);
      expect(budget.streams.held()).toBeLessThan(610_000);
      for (const { answer } of taken) answer(Buffer.of(1));
    }
    expect(await status()).toBe(grpc.status.OK);
  });

  it("has no message taken behind one that finds no room", async () => {
    const gate = gated();
    const { grpcAddress } = await startStreams(gate.handler, { budgetBytes: 2 * mebibyte });
    const { stream, status } = rawStream(grpcAddress, compressedBy("gzip"));
    const small = frame(Buffer.alloc(10));
    stream.end(Buffer.concat([small, bomb, small, small]));
    const { answer } = await gate.next();
    for (let turn = 0; turn < 200; turn += 1) await setImmediate();
    answer(Buffer.of(1));
    expect(await status()).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(gate.count()).toBe(1);
  });

  it("whose messages say that they are compressed, and not how, has them as they are", async () => {
    const { grpcAddress } = await startStreams(() => ({ take: async (message) => answers(message) }));
    const { stream } = rawStream(grpcAddress);
    stream.end(frame(Buffer.from("as it is"), undefined, 1));
    const read: Buffer[] = [];
    for await (const chunk of stream) read.push(chunk);
    expect(Buffer.concat(read).subarray(5).toString()).toBe("as it is");
  });

  it("that finds no room for what its message became ends, and those that have room stay", async () => {
    const gate = gated();
    const { grpcAddress, budget } = await startStreams(gate.handler);
    const before = externalBytes();
    const streams = Array.from({ length: 40 }, () => rawStream(grpcAddress, compressedBy("gzip")));
    for (const { stream } of streams) stream.end(Buffer.concat([bomb, bomb, bomb]));
    const ended = streams.map(({ status }) => status());
    for (let each = 0; each < 15; each += 1) await gate.next();
    await expect.poll(() => budget.streams.held()).toBeLessThan(65 * mebibyte);
    expect(await Promise.any(ended)).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(externalBytes() - before).toBeLessThan(100 * mebibyte);
    expect(gate.count()).toBeLessThanOrEqual(16);
  });
});
