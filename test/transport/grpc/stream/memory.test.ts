/** What streams hold together is bounded: who has no room waits, who is in the way of others loses its stream, and calls never notice. */
import { randomBytes } from "node:crypto";
import { constants } from "node:http2";
import type { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EncryptPiiResponseSchema } from "../../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import type { Answers, StreamHandler } from "../../../../src/call/stream.ts";
import type { Budget } from "../../../../src/transport/budget.ts";
import { frame } from "../../../support/raw-stream.ts";
import { failureOf } from "../../../support/running-service.ts";
import { answers, echo, gated, startStreamsBy } from "../../../support/stream-fixture.ts";
import { streamProtocols } from "../../../support/stream-protocols.ts";
import { destroySession } from "../../../support/destroy-session.ts";

const budgetBytes = 1_000_000;
const message = (bytes: number) => new Uint8Array(bytes);
const handlers = { encryptPii: () => create(EncryptPiiResponseSchema) };
const call = (bytes: number) => ({ tenantId: "acme", fields: [{ name: "n", value: Buffer.alloc(bytes) }] });

/** A large answer to each message. */
const talkative: StreamHandler = () => ({ take: async () => answers(message(400_000)) });

/** Resolves when so many bytes have come; rejects where they end before that. */
async function readAtLeast(bytes: number, stream: Readable): Promise<void> {
  let read = 0;
  for await (const chunk of stream) {
    read += chunk.length;
    if (read >= bytes) return;
  }
  throw new Error(`${read} bytes came`);
}

describe.each(streamProtocols)("by $name,", (protocol) => {
  const startStreams = (...given: Parameters<typeof startStreamsBy> extends [unknown, ...infer Rest] ? Rest : never) =>
    startStreamsBy(protocol, ...given);

  describe("streams together", () => {
    it("hold half of the budget, and one that does not fit waits until it does", async () => {
      const gate = gated();
      const { open, budget } = await startStreams(gate.handler, { budgetBytes });
      const [first, second] = [open(), open()];
      await first.send(message(400_000));
      const { answer } = await gate.next();
      void second.send(message(300_000));
      await expect.poll(() => budget.streams.waitedMs()).toBeGreaterThan(0);
      expect([gate.count(), budget.streams.held()]).toEqual([1, 400_000]);
      answer(message(1));
      await first.next();
      expect((await gate.next()).message).toHaveLength(300_000);
      expect(budget.streams.held()).toBe(300_000);
    });

    it("leave the other half to calls, however much their answers are", async () => {
      const {
        open,
        grpc: client,
        budget,
      } = await startStreams(
        () => ({
          take: async () => ({ bytes: 5_000_000, messages: Array.from({ length: 20 }, () => message(400_000)) }),
        }),
        { budgetBytes, handlers },
      );
      const stream = open();
      await stream.send(message(400_000));
      await stream.next();
      expect(budget.streams.held()).toBe(5_000_000);
      await client.encryptPii(call(490_000));
      expect((await failureOf(client.encryptPii(call(510_000)))).reason).toBe("OVERLOADED");
      stream.cancel();
      await expect.poll(() => budget.streams.held()).toBe(0);
      await client.encryptPii(call(990_000));
    });

    it("go on when calls that left them no room are answered", async () => {
      const gate = Promise.withResolvers<void>();
      const entered = Promise.withResolvers<void>();
      async function encryptPii() {
        entered.resolve();
        await gate.promise;
        return create(EncryptPiiResponseSchema);
      }
      const streams = gated();
      const {
        open,
        grpc: client,
        budget,
      } = await startStreams(streams.handler, { budgetBytes, handlers: { encryptPii } });
      const held = client.encryptPii(call(900_000));
      await entered.promise;
      await open().send(message(90_000));
      await streams.next();
      const second = open();
      void second.send(message(80_000));
      await expect.poll(() => budget.streams.waitedMs()).toBeGreaterThan(0);
      gate.resolve();
      await held;
      expect((await streams.next()).message).toHaveLength(80_000);
    });

    it.each([false, true])(
      "hold a message that is given away until it is answered, and no longer, compressed: %s",
      async (compressed) => {
        const gate = gated();
        const giveAway: StreamHandler = (context) => {
          const { take } = gate.handler(context);
          return {
            take(message) {
              const { byteLength } = message;
              structuredClone(message, { transfer: [message.buffer as ArrayBuffer] });
              return take(new Uint8Array(byteLength));
            },
          };
        };
        const { open, budget } = await startStreams(giveAway, { budgetBytes });
        const stream = open({ compressed });
        for (let each = 0; each < 10; each += 1) {
          await stream.send(randomBytes(300_000));
          const { answer } = await gate.next();
          expect(budget.streams.held()).toBe(300_000);
          answer(message(1));
          await stream.next();
        }
        await expect.poll(() => budget.streams.held()).toBe(0);
      },
    );

    it("give back what they held at once where one is reset while it is held back", async () => {
      const { raw, budget } = await startStreams(talkative, { budgetBytes: 2_000_000 });
      const { stream } = raw();
      stream.write(frame(message(10)));
      await expect.poll(() => budget.streams.held()).toBe(400_000);
      stream.write(frame(message(200_000)));
      await setTimeout(50);
      stream.close(constants.NGHTTP2_NO_ERROR);
      await expect.poll(() => budget.streams.held()).toBe(0);
    });

    it("give back what they held once, whenever another's answer lets in what ends them", async () => {
      const taken: ((given: Answers) => void)[] = [];
      const take = () => new Promise<Answers>((resolve) => taken.push(resolve));
      const { raw, budget } = await startStreams(() => ({ take }), { budgetBytes: 20_000 });
      const answer = async (which: number, given: Answers, ticks: number) => {
        for (let each = 0; each < ticks; each += 1) await undefined;
        taken[which]!(given);
      };
      for (let ahead = -8; ahead <= 12; ahead += 1) {
        taken.length = 0;
        const [first, second] = [raw(), raw()];
        first.stream.write(frame(message(8_900)));
        await expect.poll(() => taken.length).toBe(1);
        second.stream.write(frame(message(1_000)));
        await expect.poll(() => taken.length).toBe(2);
        second.stream.write(Buffer.concat([frame(message(240)), frame(message(1), 5 * 1024 * 1024)]));
        await expect.poll(() => budget.streams.waitedMs()).toBeGreaterThan(0);
        void answer(0, answers(), -ahead);
        void answer(1, { bytes: 1_000, messages: [] }, ahead);
        await expect.poll(() => taken.length).toBe(3);
        taken[2]!(answers());
        expect(await second.status()).toBe(grpc.status.RESOURCE_EXHAUSTED);
        for (const { session } of [first, second]) await destroySession(session);
        await expect.poll(() => budget.streams.held()).toBe(0);
      }
      expect(budget.streams.held()).toBe(0);
    });

    it("bring more than fits at once, and all of it is answered", async () => {
      const { open, budget } = await startStreams(echo, { budgetBytes });
      const streams = Array.from({ length: 20 }, () => open());
      const received = streams.map(async (stream) => {
        let bytes = 0;
        for (let each = await stream.next(); each !== undefined; each = await stream.next()) bytes += each.length;
        return bytes;
      });
      for (const stream of streams) {
        void (async () => {
          for (let each = 0; each < 5; each += 1) await stream.send(message(60_000 + each));
          stream.halfClose();
        })();
      }
      expect(await Promise.all(received)).toEqual(new Array(20).fill(300_010));
      await expect.poll(() => budget.streams.held()).toBe(0);
    });
  });

  describe("a stream in the way of others", () => {
    const streamTimes = { idleMs: 60_000, holdUpMs: 300 };
    const looksMs = streamTimes.holdUpMs / 5;

    /** Time stands still until a test has it pass. */
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    const pass = (times: number) => void vi.advanceTimersByTime(times * streamTimes.holdUpMs);

    /** Resolves when a stream has begun to wait for room. */
    const someoneWaits = (budget: Budget) =>
      expect
        .poll(() => {
          vi.advanceTimersByTime(1);
          return budget.streams.waitedMs();
        })
        .toBeGreaterThan(0);

    it("ends, as by RESOURCE_EXHAUSTED, where it does not read, and the others go on", async () => {
      const { raw, open, budget } = await startStreams(talkative, { budgetBytes, streamTimes });
      const unread = raw();
      unread.stream.write(frame(message(10)));
      await new Promise((resolve) => unread.stream.once("response", resolve));
      const other = open();
      void other.send(message(450_000));
      await someoneWaits(budget);
      pass(2);
      await new Promise(setImmediate); // it is told, and is not left to read that for long
      pass(1);
      expect(await unread.reset).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      expect(await other.next()).toHaveLength(400_000);
    });

    it("ends with RESOURCE_EXHAUSTED where the rest of its message does not come", async () => {
      const { raw, open, budget } = await startStreams(echo, { budgetBytes, streamTimes });
      const slow = raw();
      slow.stream.write(frame(message(10), 450_000));
      await expect.poll(() => budget.streams.held()).toBe(450_000);
      const other = open();
      void other.send(message(450_000));
      await someoneWaits(budget);
      const told = slow.status();
      for (let look = 0; look < 10; look += 1) {
        await new Promise<void>((resolve) => slow.stream.write(message(1), () => resolve()));
        await new Promise<void>((resolve) => slow.session.ping(() => resolve())); // it has arrived
        vi.advanceTimersByTime(looksMs);
      }
      expect(await other.next()).toHaveLength(450_000);
      expect(await told).toBe(grpc.status.RESOURCE_EXHAUSTED);
    });

    it("may stay as long as nobody waits", async () => {
      const { raw, open } = await startStreams(talkative, { budgetBytes, streamTimes });
      const unread = raw();
      unread.stream.write(frame(message(10)));
      const other = open();
      for (let look = 0; look < 20; look += 1) {
        await other.send(message(10));
        await other.next();
        vi.advanceTimersByTime(looksMs);
      }
      await readAtLeast(400_000, unread.stream);
    });

    it("may stay while the service is at work on it, and has its time to read once that is done", async () => {
      const gate = gated();
      const { raw, open, budget } = await startStreams(gate.handler, { budgetBytes, streamTimes });
      const working = raw();
      working.stream.write(frame(message(450_000)));
      const { answer } = await gate.next();
      const other = open();
      void other.send(message(450_000));
      await someoneWaits(budget);
      pass(3);
      answer(message(450_000));
      await new Promise((resolve) => working.stream.once("response", resolve));
      pass(0.5);
      await readAtLeast(450_000, working.stream);
      expect((await gate.next()).message).toHaveLength(450_000);
    });
  });

  it("a message that unpacks to more than there is room for ends its stream alone", async () => {
    const { open, budget } = await startStreams(echo, { budgetBytes });
    const [bomb, other] = [open({ compressed: true }), open()];
    await bomb.send(message(3_000_000));
    expect(await bomb.failure()).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, reason: "OVERLOADED" });
    await other.send(message(400_000));
    expect(await other.next()).toHaveLength(400_000);
    await expect.poll(() => budget.streams.held()).toBeLessThanOrEqual(400_000);
  });
});
