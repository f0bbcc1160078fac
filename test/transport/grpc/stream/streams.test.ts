/** What a stream promises its caller: order, answers as they are read, and an end for every way in which it can end. */
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { invalidField } from "../../../../src/errors.ts";
import type { StreamHandler } from "../../../../src/call/stream.ts";
import { frame } from "../../../support/raw-stream.ts";
import type { SpanClient } from "../../../support/stream-client.ts";
import { answers, echo, gated, startStreamsBy } from "../../../support/stream-fixture.ts";
import { streamProtocols } from "../../../support/stream-protocols.ts";

const bytes = (text: string) => Buffer.from(text);

/** Time stands still until a test has it pass. */
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

async function texts(stream: SpanClient): Promise<string[]> {
  const all: string[] = [];
  for (let each = await stream.next(); each !== undefined; each = await stream.next()) {
    all.push(Buffer.from(each).toString());
  }
  return all;
}

/** Answers after a few turns of the loop, and says how many messages were at work at most. */
function counting() {
  const atWork = { now: 0, most: 0 };
  const handler: StreamHandler = () => ({
    async take(message) {
      atWork.most = Math.max(atWork.most, ++atWork.now);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      atWork.now -= 1;
      return answers(message.subarray(0, 1));
    },
  });
  return { handler, atWork };
}

describe.each(streamProtocols)("by $name,", (protocol) => {
  const startStreams = (...given: Parameters<typeof startStreamsBy> extends [unknown, ...infer Rest] ? Rest : never) =>
    startStreamsBy(protocol, ...given);

  describe("messages", () => {
    it("are answered in their order, whichever is ready first", async () => {
      const gate = gated();
      const { open } = await startStreams(gate.handler);
      const stream = open();
      for (const each of ["a", "b", "c"]) await stream.send(bytes(each));
      const [a, b, c] = [await gate.next(), await gate.next(), await gate.next()];
      c.answer(bytes("c"));
      b.answer(bytes("b1"), bytes("b2"));
      a.answer(bytes("a"));
      stream.halfClose();
      expect(await texts(stream)).toEqual(["a", "b1", "b2", "c"]);
    });

    it("that are empty are messages too", async () => {
      const { open } = await startStreams(() => ({ take: async ({ length }) => answers(bytes(`${length} bytes`)) }));
      const stream = open();
      for (let each = 0; each < 100; each += 1) await stream.send(new Uint8Array());
      stream.halfClose();
      expect(await texts(stream)).toEqual(new Array(100).fill("0 bytes"));
    });

    it("may be as large as any, and come packed", async () => {
      const { open } = await startStreams(() => ({ take: async ({ length }) => answers(bytes(String(length))) }));
      for (const compressed of [false, true]) {
        const stream = open({ compressed });
        for (const length of [4 * 1024 * 1024, 1, 4 * 1024 * 1024]) await stream.send(new Uint8Array(length));
        stream.halfClose();
        expect(await texts(stream)).toEqual(["4194304", "1", "4194304"]);
      }
    });

    it("are at work eight at a time", async () => {
      const { handler, atWork } = counting();
      const { open } = await startStreams(handler);
      const stream = open();
      // All in one chunk: how they arrive must not matter.
      await stream.send(new Uint8Array(1));
      for (let each = 0; each < 100; each += 1) await stream.send(new Uint8Array(10));
      stream.halfClose();
      expect(await texts(stream)).toHaveLength(101);
      expect(atWork).toEqual({ now: 0, most: 8 });
    });

    it("are at work one by one where they are large", async () => {
      const { handler, atWork } = counting();
      const { open } = await startStreams(handler);
      const stream = open();
      for (let each = 0; each < 10; each += 1) void stream.send(new Uint8Array(300_000));
      stream.halfClose();
      expect(await texts(stream)).toHaveLength(10);
      expect(atWork).toEqual({ now: 0, most: 1 });
    });

    it("have their answers made one at a time, each when the last one was read", async () => {
      let made = 0;
      async function* messages() {
        for (; made < 64; made += 1) yield new Uint8Array(100_000);
      }
      const { open, metrics } = await startStreams(() => ({ take: async () => ({ bytes: 0, messages: messages() }) }));
      const stream = open();
      await stream.send(bytes("a"));
      await stream.next();
      await metrics();
      // What fits into the windows of HTTP/2 and into buffers.
      expect(made).toBeLessThan(10);
      stream.halfClose();
      expect(await texts(stream)).toHaveLength(63);
    });
  });

  describe("a stream ends", () => {
    it("with OK once the caller has said its last and all of it is answered, and counts as one call", async () => {
      const gate = gated();
      const { open, metrics, budget } = await startStreams(gate.handler);
      const stream = open();
      await stream.send(bytes("a"));
      stream.halfClose();
      (await gate.next()).answer(bytes("a"));
      expect(await texts(stream)).toEqual(["a"]);
      const counted = 'kms_stream_duration_seconds_count{rpc_method="SignSpans",rpc_response_status_code="OK"} 1';
      expect(await metrics()).toContain(counted);
      expect(budget.streams.held()).toBe(0);
    });

    it("with OK where it says nothing at all", async () => {
      const { open } = await startStreams(echo);
      const stream = open();
      stream.halfClose();
      expect(await texts(stream)).toEqual([]);
    });

    it("with the error of a message in its turn, and answers nothing behind it", async () => {
      const gate = gated();
      const { open, budget, metrics } = await startStreams(gate.handler);
      const stream = open();
      for (const each of ["a", "b", "c"]) await stream.send(bytes(each));
      const [a, b, c] = [await gate.next(), await gate.next(), await gate.next()];
      c.answer(bytes("c"));
      b.fail(invalidField("mode", "is wrong"));
      a.answer(bytes("a"));
      expect(Buffer.from((await stream.next())!)).toEqual(bytes("a"));
      expect(await stream.failure()).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, fields: ["mode"] });
      await expect.poll(() => budget.streams.held()).toBe(0);
      expect(await metrics()).toContain('kms_errors_total{operation="SignSpans",code="INVALID_ARGUMENT"} 1');
    });

    it("with INTERNAL for a bug, of which it tells nothing", async () => {
      const { open } = await startStreams(() => ({ take: () => Promise.reject(new Error("secret")) }));
      const stream = open();
      await stream.send(bytes("a"));
      const { code, message } = await stream.failure();
      expect([code, message]).toEqual([grpc.status.INTERNAL, expect.not.stringContaining("secret")]);
    });

    it("with CANCELLED for the work that a caller leaves behind", async () => {
      const gate = gated();
      const { open, budget } = await startStreams(gate.handler);
      const stream = open();
      await stream.send(bytes("a"));
      const { answer } = await gate.next();
      const { signal } = gate.contexts[0]!;
      const aborted = new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason)));
      stream.cancel();
      expect(await aborted).toBeKmsError("CANCELLED");
      expect((await stream.failure()).code).toBe(grpc.status.CANCELLED);
      // A thread has it still.
      expect(budget.streams.held()).toBe(1);
      answer(new Uint8Array(1000));
      await expect.poll(() => budget.streams.held()).toBe(0);
    });

    it("with DEADLINE_EXCEEDED when the caller's time is up", async () => {
      const gate = gated();
      const { open, metrics } = await startStreams(gate.handler);
      const stream = open({ timeoutMs: 100 });
      await stream.send(bytes("a"));
      await gate.next();
      const failure = stream.failure();
      vi.advanceTimersByTime(200);
      expect((await failure).code).toBe(grpc.status.DEADLINE_EXCEEDED);
      await expect.poll(metrics).toMatch(/SignSpans",code="(DEADLINE_EXCEEDED|CANCELLED)"} 1/);
    });

    it("with DEADLINE_EXCEEDED where the service alone keeps the time, and by a reset where nobody reads", async () => {
      const gate = gated();
      const { raw, budget } = await startStreams(gate.handler);
      const reading = raw({ timeoutMs: 100 });
      const unread = raw({ timeoutMs: 100 });
      for (const { stream } of [reading, unread]) {
        stream.write(frame(bytes("a")));
        (await gate.next()).answer(new Uint8Array(1_000_000));
        await new Promise((resolve) => stream.once("response", resolve));
      }
      const told = reading.status();
      vi.advanceTimersByTime(200);
      expect(await told).toBe(grpc.status.DEADLINE_EXCEEDED);
      vi.advanceTimersByTime(200);
      expect(await unread.reset).toBe(constants.NGHTTP2_CANCEL);
      await expect.poll(() => budget.streams.held()).toBe(0);
    });

    it("with RESOURCE_EXHAUSTED for a message of 5 MiB, and others of the connection go on", async () => {
      const { raw, open, metrics } = await startStreams(echo);
      const large = open();
      await large.send(bytes("a"));
      await large.next();
      void large.send(new Uint8Array(5 * 1024 * 1024));
      expect((await large.failure()).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
      const bare = raw();
      bare.stream.write(frame(bytes("x"), 2 ** 32 - 1));
      expect(await bare.status()).toBe(grpc.status.RESOURCE_EXHAUSTED);
      expect(await metrics()).toContain('kms_errors_total{operation="SignSpans",code="RESOURCE_EXHAUSTED"} 2');
    });

    it("with a status for a message of 5 MiB, though an answer is on its way", async () => {
      const { raw } = await startStreams(() => ({ take: async () => answers(new Uint8Array(900_000)) }));
      for (let round = 0; round < 5; round += 1) {
        const { stream, status } = raw();
        stream.write(Buffer.concat([frame(bytes("a")), frame(bytes("x"), 5 * 1024 * 1024)]));
        expect(await status()).toBe(grpc.status.RESOURCE_EXHAUSTED);
      }
    });

    it("with INVALID_ARGUMENT where it breaks off within a message", async () => {
      const { raw, budget } = await startStreams(echo);
      for (const part of [frame(bytes("abc"), 10), Buffer.of(0, 0)]) {
        const { stream, status } = raw();
        stream.end(part);
        expect(await status()).toBe(grpc.status.INVALID_ARGUMENT);
      }
      await expect.poll(() => budget.streams.held()).toBe(0);
    });

    it.each([
      ["a message that is packed and is not", "gzip", bytes("not gzip"), grpc.status.INVALID_ARGUMENT],
      ["a way of packing that is not known", "zstd", bytes("any"), grpc.status.UNIMPLEMENTED],
      ["a message that unpacks to 5 MiB", "gzip", gzipSync(Buffer.alloc(5_300_000)), grpc.status.RESOURCE_EXHAUSTED],
    ])("with an error of its own for %s", async (_what, encoding, message, expected) => {
      const { raw, budget } = await startStreams(echo);
      const { stream, status } = raw({ encoding });
      stream.write(frame(message, message.length, 1));
      expect(await status()).toBe(expected);
      await expect.poll(() => budget.streams.held()).toBe(0);
    });
  });

  describe("a stream on which nothing moves", () => {
    const streamTimes = { idleMs: 200, holdUpMs: 60_000 };

    it("ends with UNAVAILABLE and RetryInfo", async () => {
      let begun = 0;
      const counted: StreamHandler = (context) => {
        begun += 1;
        return echo(context);
      };
      const { open } = await startStreams(counted, { streamTimes });
      const [silent, once] = [open(), open()];
      await once.send(bytes("a"));
      await once.next();
      await expect.poll(() => begun).toBe(2);
      const failures = [silent, once].map((stream) => stream.failure());
      vi.advanceTimersByTime(2 * streamTimes.idleMs);
      for (const failure of failures) {
        expect(await failure).toMatchObject({ code: grpc.status.UNAVAILABLE, reason: "IDLE", retry: true });
      }
    });

    it("is reset, as for UNAVAILABLE, where its answers are not read, and ends where a message does not go on", async () => {
      const { raw, budget } = await startStreams(() => ({ take: async () => answers(new Uint8Array(900_000)) }), {
        streamTimes,
      });
      const unread = raw();
      unread.stream.write(frame(bytes("a")));
      await new Promise((resolve) => unread.stream.once("response", resolve));
      const slow = raw();
      slow.stream.write(frame(bytes("a"), 1000));
      await expect.poll(() => budget.streams.held()).toBe(901_000);
      const told = slow.status();
      vi.advanceTimersByTime(2 * streamTimes.idleMs);
      expect(await told).toBe(grpc.status.UNAVAILABLE);
      vi.advanceTimersByTime(200);
      expect(await unread.reset).toBe(constants.NGHTTP2_REFUSED_STREAM);
      await expect.poll(() => budget.streams.held()).toBe(0);
    });

    it("goes on while the service is at work on it", async () => {
      const gate = gated();
      const { open } = await startStreams(gate.handler, { streamTimes });
      const [working, silent] = [open(), open()];
      await working.send(bytes("a"));
      const { answer } = await gate.next();
      await expect.poll(() => gate.contexts).toHaveLength(2);
      const failure = silent.failure();
      vi.advanceTimersByTime(2 * streamTimes.idleMs);
      await failure;
      answer(bytes("a"));
      expect(Buffer.from((await working.next())!)).toEqual(bytes("a"));
    });
  });

  describe("a service that stops", () => {
    it("answers what a stream has brought, takes no more, and ends it with UNAVAILABLE and RetryInfo", async () => {
      const gate = gated();
      const { open, close } = await startStreams(gate.handler);
      const [busy, idle] = [open(), open()];
      await busy.send(bytes("a"));
      await idle.send(bytes("b"));
      const [a, b] = [await gate.next(), await gate.next()];
      b.answer(bytes("b"));
      await idle.next();
      const closed = close(60_000);
      void busy.send(bytes("never taken"));
      expect(await idle.failure()).toMatchObject({ code: grpc.status.UNAVAILABLE, reason: "DRAINING", retry: true });
      a.answer(bytes("a1"), bytes("a2"));
      expect([await busy.next(), await busy.next()].map(String)).toEqual(["a1", "a2"].map(bytes).map(String));
      expect(await busy.failure()).toMatchObject({ code: grpc.status.UNAVAILABLE, reason: "DRAINING", retry: true });
      await closed;
      expect(gate.count()).toBe(2);
    });

    it("ends a stream with OK whose caller has said its last", async () => {
      const gate = gated();
      const { open, close } = await startStreams(gate.handler);
      const stream = open();
      await stream.send(bytes("a"));
      stream.halfClose();
      const { answer } = await gate.next();
      const closed = close(60_000);
      answer(bytes("a"));
      expect(await texts(stream)).toEqual(["a"]);
      await closed;
    });

    it("waits for one that does not read no longer than its grace", async () => {
      const { raw, close } = await startStreams(() => ({ take: async () => answers(new Uint8Array(900_000)) }));
      const { stream } = raw();
      stream.write(frame(bytes("a")));
      await new Promise((resolve) => stream.once("response", resolve));
      let isClosed = false;
      const closed = close(300).then(() => {
        isClosed = true;
      });
      await vi.advanceTimersByTimeAsync(299);
      expect(isClosed).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      vi.useRealTimers();
      await closed;
    });
  });
});
