/** Requests that begin and never end: what they hold is bounded, and others are served again once they are gone. */
import { randomBytes } from "node:crypto";
import { connect, constants } from "node:http2";
import { buffer as bytesOf } from "node:stream/consumers";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { KmsService } from "../../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { frame, type RawStream } from "../../../support/raw-stream.ts";
import { failureOf } from "../../../support/running-service.ts";
import { answers, echo, gated, rawStream, startStreams } from "../../../support/stream-fixture.ts";
import { type FakeKms, startTransports } from "../../../support/transports-fixture.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const signSpan = `/${KmsService.typeName}/SignSpan`;

async function start(bytes: number, patienceMs = 60_000) {
  const handlers = { signSpan: () => new Uint8Array() } as unknown as FakeKms;
  const {
    grpcAddress,
    grpc: client,
    stop,
  } = await startTransports(handlers, {
    arriving: { bytes, patienceMs },
    bytesSpoken: true,
  });
  return { address: grpcAddress, call: (bytes: number) => client.raw("signSpan", new Uint8Array(bytes)), stop };
}

/** What a client makes of the reset depends on whether it was still writing. */
async function expectReset(call: Promise<unknown>): Promise<void> {
  const { code } = await failureOf(call);
  expect([grpc.status.RESOURCE_EXHAUSTED, grpc.status.UNAVAILABLE]).toContain(code);
}

it("a message that is larger than what may be arriving is refused, and a smaller one served", async () => {
  const service = await start(100_000);
  await expectReset(service.call(200_000));
  await expect(service.call(50_000)).resolves.toBeInstanceOf(Uint8Array);
  await service.stop();
});

it("unfinished requests share one bound, and give back what they held when they go", async () => {
  const service = await start(100_000);
  const session = connect(`http://${service.address}`).on("error", () => {});
  const begin = () => {
    const headers = { ":method": "POST", ":path": signSpan, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    const prefix = Buffer.from([0, 0, 0, 0xff, 0xff]); // announces 65,535 bytes, which never all come
    stream.write(Buffer.concat([prefix, Buffer.alloc(60_000)]));
    return stream;
  };
  const first = begin();
  const second = begin();
  const reset = await Promise.race(
    [first, second].map((stream) => new Promise((resolve) => stream.once("error", () => resolve(stream.rstCode)))),
  );
  expect(reset).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  await expectReset(service.call(60_000));

  const closed = new Promise((resolve) => session.once("close", resolve));
  await destroySession(session);
  await closed;
  await expect
    .poll(() =>
      service.call(60_000).then(
        () => "served",
        () => "refused",
      ),
    )
    .toBe("served");
  await service.stop();
});

it("those that have begun long ago make room for others", async () => {
  const service = await start(100_000, 300);
  const begun = () => {
    const raw = rawStream(service.address, { ":path": signSpan });
    raw.stream.write(frame(Buffer.alloc(40_000), 50_000));
    return raw;
  };
  const [oldest, other] = [begun(), begun()];
  await expect.poll(() => service.call(50_000).then(String, () => "refused")).toBe("refused");
  await expect.poll(() => service.call(50_000).then(() => "served", String)).toBe("served");
  expect(await oldest.reset).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  other.stream.end(Buffer.alloc(10_000));
  expect(await other.status()).toBe(grpc.status.OK);
  await service.stop();
});

it("pieces of a message count beside their bytes", async () => {
  const service = await start(100_000);
  const { stream, reset } = rawStream(service.address, { ":path": signSpan });
  stream.write(frame(Buffer.alloc(0), 50_000));
  let pieces = 0;
  while (!stream.closed && pieces < 1_000) {
    await new Promise<void>((resolve) => stream.write(Buffer.of(0), () => resolve()));
    pieces += 1;
  }
  expect(await reset).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(pieces).toBeGreaterThan(300);
  await expect(service.call(50_000)).resolves.toBeInstanceOf(Uint8Array);
  await service.stop();
});

it("a connection has room for many streams at once, and each stream the usual room", async () => {
  const service = await start(100_000);
  const session = connect(`http://${service.address}`).on("error", () => {});
  await expect.poll(() => session.state.remoteWindowSize).toBe(1024 * 1024);
  expect(session.remoteSettings.initialWindowSize).toBe(65_535);
  await destroySession(session);
  await service.stop();
});

describe("frames of a byte", () => {
  async function trickle({ stream }: Pick<RawStream, "stream">, bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) await new Promise<void>((resolve) => stream.write(Buffer.of(byte), () => resolve()));
  }

  it("make a message as others do", async () => {
    const { grpcAddress, budget } = await startStreams(echo);
    const raw = rawStream(grpcAddress);
    const message = randomBytes(3_000);
    const answered = bytesOf(raw.stream);
    raw.stream.write(frame(message.subarray(0, 1), message.length));
    await trickle(raw, message.subarray(1));
    expect(budget.streams.held()).toBe(message.length);
    raw.stream.end();
    expect(await answered).toEqual(frame(message));
  });

  it("may be as many as they like beside larger ones", async () => {
    const { grpcAddress } = await startStreams(() => ({ take: async () => answers() }));
    const raw = rawStream(grpcAddress);
    const told = raw.status();
    raw.stream.write(frame(Buffer.alloc(200_000), 400_000));
    await trickle(raw, Buffer.alloc(1_500));
    raw.stream.end(Buffer.alloc(400_000 - 200_000 - 1_500));
    expect(await told).toBe(grpc.status.OK);
  });

  it("wait where a stream is held back, and make a message then", async () => {
    const gate = gated();
    const { grpcAddress, budget } = await startStreams(gate.handler);
    const raw = rawStream(grpcAddress);
    raw.stream.write(Buffer.concat(new Array(8).fill(frame(Buffer.alloc(10)))));
    const first = await Promise.all(Array.from({ length: 8 }, () => gate.next()));
    raw.stream.resume();
    const message = randomBytes(3_000);
    await trickle(raw, frame(message));
    expect([gate.count(), budget.streams.held()]).toEqual([8, 80]);
    for (const { answer } of first) answer();
    expect(Buffer.from((await gate.next()).message)).toEqual(message);
  });

  it("may be as many as they like where each message is read, however its frames are cut", async () => {
    const { grpcAddress, budget } = await startStreams(() => ({ take: async () => answers() }));
    const { stream, status } = rawStream(grpcAddress);
    const told = status();
    const whole = Buffer.concat(new Array(1_500).fill(frame(Buffer.of(1, 2))));
    for (let at = 0; at < whole.length; at += 4) {
      await new Promise<void>((resolve) => stream.write(whole.subarray(at, at + 4), () => resolve()));
    }
    expect(budget.streams.held()).toBeLessThan(100);
    stream.end();
    expect(await told).toBe(grpc.status.OK);
  });
});

it("of thousands of empty messages at once, a few are at work at a time", async () => {
  const gate = gated();
  const { grpcAddress, budget } = await startStreams(gate.handler);
  const { stream, status } = rawStream(grpcAddress);
  const told = status();
  stream.end(Buffer.concat(new Array(3_000).fill(frame(Buffer.alloc(0)))));
  for (let each = 0; each < 3_000; each += 1) {
    const { answer } = await gate.next();
    expect(gate.count()).toBeLessThanOrEqual(each + 8);
    answer();
  }
  expect(await told).toBe(grpc.status.OK);
  expect([gate.count(), budget.streams.held()]).toEqual([3_000, 0]);
});
