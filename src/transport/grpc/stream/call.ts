/**
 * One stream from its first message to its end. A few messages are at work at a time; their answers are written in the order of the
 * messages, and the next one is made only when the caller has taken the last: so a caller that does not read stalls its own stream.
 */
import type { ServerHttp2Stream } from "node:http2";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { invalidField, KmsError } from "../../../errors.ts";
import { release } from "../../../runtime/detach.ts";
import type { Answers, MessageStream } from "../../../call/stream.ts";
import { overloaded } from "../../budget.ts";
import { decompress } from "../../decompress.ts";
import { tooLarge } from "../../limits.ts";
import { checkEncoding, mayBeCompressed } from "../http2/compression.ts";
import { isCompressed } from "../http2/internals.ts";
import { type IntakeLimits, intakeOf } from "./intake.ts";
import type { StreamShare } from "../../stream-share.ts";

export type GrpcStream = ServerDuplexStream<Buffer, Uint8Array>;

export interface StreamCall {
  /** Resolves when the caller's last message is answered; rejects with why the stream ended before that. */
  ended: Promise<void>;
  end(reason: KmsError): void;
  /** Takes no more messages, and ends with DRAINING when those that are there are answered. */
  drain(): void;
  /** Whether the caller has not taken an answer that was written. */
  unread(): boolean;
  /** What the stream has of the memory of all. */
  held(): number;
  /** For how long the caller has done nothing, and nothing much, while the stream waits for it alone. */
  stalled(): { forMs: number; nothingMuchForMs: number };
}

interface StreamCallParts {
  http2: ServerHttp2Stream;
  messages: MessageStream;
  limits: IntakeLimits;
  share: StreamShare;
}

/** A message and what becomes of it. */
interface Work {
  /** What it holds: its own size, then that of its answers. */
  bytes: number;
  answers: Promise<Answers>;
}

export function streamCall(call: GrpcStream, { http2, messages, limits, share }: StreamCallParts): StreamCall {
  const waiting: Buffer[] = [];
  const atWork: Work[] = [];
  const early = Promise.withResolvers<never>();
  const compressed = mayBeCompressed(http2);
  let decompressing = false;
  let reason: KmsError | undefined;
  let over = false;
  let draining = false;
  let wake = () => {};
  let movedMs = performance.now();
  let movedMuchMs = movedMs;

  const moved = (much: boolean) => {
    movedMs = performance.now();
    if (much) movedMuchMs = movedMs;
  };
  const intake = intakeOf(http2, {
    limits,
    share,
    moved,
    arrived(message) {
      waiting.push(message);
      begin();
      wake();
    },
    ended(whole) {
      if (!whole) return end(invalidField("request", "the stream ends within a message; send all of it"));
      over = true;
      wake();
    },
    tooLarge: () => end(tooLarge(limits.messageBytes)),
  });
  call.resume(); // to its end: what it brings is taken before it comes here
  call.on("drain", () => wake());

  function begin(): void {
    while (mayBegin()) {
      const message = waiting.shift()!;
      const bytes = message.length; // taken, it is given away and has none
      const compressedNow = compressed && isCompressed(message);
      const answers = compressedNow ? takeCompressed(message, (more) => hold(work, more)) : messages.take(message);
      const work: Work = { bytes, answers };
      atWork.push(work);
      work.answers.then(
        ({ bytes }) => hold(work, bytes),
        () => hold(work, 0),
      );
    }
  }

  /** Where messages may be compressed, the next one waits until it is known how large this one is; and for ever, where this one is refused. */
  function mayBegin(): boolean {
    if (waiting.length === 0 || atWork.length === limits.messages) return false;
    return !compressed || atWork.length === 0 || (!decompressing && intake.hasRoom());
  }

  async function takeCompressed(message: Buffer, holds: (bytes: number) => void): Promise<Answers> {
    decompressing = true;
    checkEncoding(http2);
    const whole = await decompress(message, limits.messageBytes, () => reason === undefined);
    holds(whole.length);
    if (reason !== undefined) throw reason;
    if (share.overflows()) throw overloaded();
    const answers = messages.take(whole);
    decompressing = false;
    begin();
    return answers;
  }

  function hold(work: Work, bytes: number): void {
    intake.changed(bytes - work.bytes);
    work.bytes = bytes;
  }

  async function answerAll(): Promise<void> {
    for (;;) {
      const work = atWork[0];
      if (work === undefined) {
        if (over) return;
        if (draining) throw new KmsError("DRAINING", "the service is shutting down: open a stream to another replica");
        await news();
        continue;
      }
      const answers = await work.answers;
      for await (const message of answers.messages) await write(message);
      atWork.shift();
      const { bytes } = work;
      work.bytes = 0; // a stream that ends now gives back what is left
      intake.answered(bytes);
      begin();
    }
  }

  async function write(message: Uint8Array): Promise<void> {
    if (reason !== undefined) throw reason;
    // Until now it was the caller that waited.
    moved(true);
    call.write(message, () => release(message));
    while (call.writableNeedDrain) await news();
    moved(true);
  }

  async function news(): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (reason !== undefined) throw reason;
  }

  function end(why: KmsError): void {
    if (reason !== undefined) return;
    reason = why;
    intake.discard();
    for (const message of waiting.splice(0)) intake.answered(message.length);
    // What the pool is at holds its memory until it is done.
    for (const work of atWork) {
      const letGo = () => hold(work, 0);
      work.answers.then(letGo, letGo);
    }
    early.reject(why);
    wake();
  }

  const unread = () => call.writableLength > 0;

  return {
    ended: Promise.race([answerAll(), early.promise]),
    end,
    drain() {
      draining = true;
      intake.discard();
      wake();
    },
    unread,
    held: intake.held,
    stalled() {
      if (!unread() && (atWork.length > 0 || intake.waits())) return { forMs: 0, nothingMuchForMs: 0 };
      const now = performance.now();
      return { forMs: now - movedMs, nothingMuchForMs: now - movedMuchMs };
    },
  };
}
