/** Streams whose caller is at its limit: their next message is read later, and they are not ended for it. */
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StreamHandler } from "../../../../src/call/stream.ts";
import { rateOf, tokenBucket } from "../../../../src/limits/token-bucket.ts";
import { realTime } from "../../../../src/runtime/time.ts";
import { frame } from "../../../support/raw-stream.ts";
import { answers, startStreamsBy } from "../../../support/stream-fixture.ts";
import { streamProtocols } from "../../../support/stream-protocols.ts";

/** Time stands still until a test has it pass. */
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const bytes = (text: string) => Buffer.from(text);

/** Gives each message back, one a second. */
function oneASecond() {
  const bucket = tokenBucket(rateOf(1, 1), { now: realTime.monotonicMs });
  const taken: string[] = [];
  const handler: StreamHandler = () => ({
    waitMs: () => bucket.waitMs(),
    async take(message) {
      bucket.take();
      taken.push(Buffer.from(message.subarray(0, 1)).toString());
      return answers(message);
    },
  });
  return { bucket, taken, handler };
}

describe.each(streamProtocols)("by $name,", (protocol) => {
  const startStreams = (...given: Parameters<typeof startStreamsBy> extends [unknown, ...infer Rest] ? Rest : never) =>
    startStreamsBy(protocol, ...given);

  it("a message begins when there is a unit for it, in its turn, and the last one ends the stream with OK", async () => {
    const { handler, taken } = oneASecond();
    const { open, metrics } = await startStreams(handler);
    const stream = open();
    for (const each of ["a", "b", "c"]) await stream.send(bytes(each));
    stream.halfClose();
    expect(Buffer.from((await stream.next())!).toString()).toBe("a");
    await metrics(); // what else came has been looked at by then
    expect(taken).toEqual(["a"]);
    for (const each of ["b", "c"]) {
      vi.advanceTimersByTime(999);
      await metrics();
      expect(taken.at(-1)).not.toBe(each);
      vi.advanceTimersByTime(1);
      expect(Buffer.from((await stream.next())!).toString()).toBe(each);
    }
    expect(await stream.next()).toBeUndefined();
  });

  it("nothing is held of what waits: the client keeps it", async () => {
    const { handler, taken } = oneASecond();
    const { open, budget, metrics } = await startStreams(handler);
    const stream = open();
    await stream.send(bytes("a"));
    let sent = 0;
    for (let each = 0; each < 64; each += 1) void stream.send(new Uint8Array(100_000)).then(() => (sent += 1));
    await stream.next();
    await metrics();
    expect(taken).toHaveLength(1);
    expect(budget.streams.held()).toBe(0);
    expect(sent).toBeLessThan(32); // what its own buffers hold
  });

  it("two streams of one caller take turns by one limit", async () => {
    const { handler, taken } = oneASecond();
    const { open, metrics } = await startStreams(handler);
    const streams = [open(), open()];
    for (const each of streams) for (const text of ["a", "b"]) await each.send(bytes(text));
    await expect.poll(() => taken).toHaveLength(1);
    for (let most = 2; most <= 4; most += 1) {
      await metrics();
      vi.advanceTimersByTime(1_000);
      await expect.poll(() => taken).toHaveLength(most);
    }
  });

  describe("a stream that is read later", () => {
    const streamTimes = { idleMs: 200, holdUpMs: 60_000 };

    it("is not idle meanwhile, and has the time of an idle stream from then on", async () => {
      const { handler, bucket, taken } = oneASecond();
      const { open, metrics } = await startStreams(handler, { streamTimes });
      const stream = open();
      await stream.send(bytes("a"));
      await stream.next();
      bucket.take(9);
      await stream.send(bytes("b"));
      const next = stream.next();
      await metrics(); // it has arrived by then
      for (let each = 0; each < 9; each += 1) {
        vi.advanceTimersByTime(1_000);
        await metrics();
      }
      expect(taken).toEqual(["a"]);
      vi.advanceTimersByTime(1_000);
      expect(Buffer.from((await next)!).toString()).toBe("b");
      const failure = stream.failure();
      vi.advanceTimersByTime(2 * streamTimes.idleMs);
      expect(await failure).toMatchObject({ code: grpc.status.UNAVAILABLE, reason: "IDLE" });
    });

    it("has what it brought answered at once, if the service stops", async () => {
      const { handler, bucket, taken } = oneASecond();
      const { raw, budget, close, metrics } = await startStreams(handler);
      const { stream, status } = raw();
      stream.write(frame(bytes("b"), 2));
      await expect.poll(() => budget.streams.held()).toBe(2);
      bucket.take(1_000);
      stream.write(bytes("c"));
      await metrics();
      expect(taken).toEqual([]);
      const closed = close(60_000);
      expect(await status()).toBe(grpc.status.UNAVAILABLE);
      expect(taken).toEqual(["b"]);
      stream.end();
      vi.advanceTimersByTime(10_000);
      await closed;
    });

    it("ends at its deadline", async () => {
      const { handler, bucket } = oneASecond();
      bucket.take(100);
      const { open, metrics } = await startStreams(handler);
      const stream = open({ timeoutMs: 1_000 });
      await stream.send(bytes("a"));
      await metrics();
      const failure = stream.failure();
      vi.advanceTimersByTime(2_000);
      expect(await failure).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    });

    it("ends if it holds memory meanwhile for which another has waited too long", async () => {
      const holdUpMs = 300;
      const { handler, bucket } = oneASecond();
      const [budgetBytes, size] = [1_000_000, 450_000];
      const { raw, open, budget } = await startStreams(handler, {
        budgetBytes,
        streamTimes: { idleMs: 60_000, holdUpMs },
      });
      const first = raw();
      const whole = frame(new Uint8Array(size));
      first.stream.write(whole.subarray(0, size - 10));
      await expect.poll(() => budget.streams.held()).toBe(size);
      const other = open();
      void other.send(new Uint8Array(size));
      await expect
        .poll(() => {
          vi.advanceTimersByTime(1);
          return budget.streams.waitedMs();
        })
        .toBeGreaterThan(0);
      bucket.take(1_000);
      first.stream.write(whole.subarray(size - 10));
      const status = first.status();
      for (let each = 0; each < 6; each += 1) {
        await new Promise(setImmediate);
        vi.advanceTimersByTime(holdUpMs);
      }
      expect(await status).toBe(grpc.status.RESOURCE_EXHAUSTED);
      await expect.poll(() => budget.streams.held()).toBe(size);
    });
  });
});
