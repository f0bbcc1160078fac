/**
 * One stream from its first message to its end. A few messages are at work at a time; their answers are written in the order of the
 * messages, and the next one is made only when the caller has taken the last: so a caller that does not read stalls its own stream.
 */
import { invalidField, type KmsError } from "../../../errors.ts";
import type { Time, Timer } from "../../../runtime/time.ts";
import type { Answers, MessageStream } from "../../../call/stream.ts";
import { overloaded } from "../../budget.ts";
import { tooLarge } from "../../limits.ts";
import { type Intake, type IntakeLimits, intakeOf } from "./intake.ts";
import type { StreamShare } from "../../stream-share.ts";
import type { Wire } from "./wire.ts";

export interface StreamCall {
  /** Resolves when the caller's last message is answered; rejects with why the stream ended before that. */
  ended: Promise<void>;
  end(reason: KmsError): void;
  /** Takes no more messages, and ends with this error when those that are there are answered. */
  drain(why: KmsError): void;
  /** What the stream has of the memory of all. */
  held(): number;
  /** For how long the caller has done nothing, and nothing much, while the stream waits for it alone. */
  stalled(): { forMs: number; nothingMuchForMs: number };
}

interface StreamCallParts {
  wire: Wire;
  messages: MessageStream;
  limits: IntakeLimits;
  share: StreamShare;
  time: Time;
}

/** A message and what becomes of it. */
interface Work {
  /** What it holds: its own size, then that of its answers. */
  bytes: number;
  answers: Promise<Answers>;
}

export function streamCall(parts: StreamCallParts): StreamCall {
  return new OpenStream(parts);
}

/**
 * A state machine, as a class of small steps. It is one piece, because each step may let the next one go on: a message begins when one has
 * arrived, when one is answered, when the caller's limits allow it, or when the one before is unpacked.
 */
class OpenStream implements StreamCall {
  readonly ended: Promise<void>;
  readonly #wire: Wire;
  readonly #parts: StreamCallParts;
  readonly #time: Time;
  readonly #intake: Intake;
  readonly #waiting: Buffer[] = [];
  readonly #atWork: Work[] = [];
  readonly #early = Promise.withResolvers<never>();
  #unpacking = false;
  #reason: KmsError | undefined;
  #over = false;
  #draining: KmsError | undefined;
  #wake = () => {};
  /** Until when the caller's limits let no message begin. */
  #pace: Timer | undefined;
  #movedMs: number;
  #movedMuchMs: number;

  constructor(parts: StreamCallParts) {
    const { wire, limits, share, time } = parts;
    this.#wire = wire;
    this.#parts = parts;
    this.#time = time;
    this.#movedMs = time.monotonicMs();
    this.#movedMuchMs = this.#movedMs;
    this.#intake = intakeOf(wire.http2, {
      limits,
      share,
      mayBegin: () => !this.#isPaced(),
      moved: (much) => this.#moved(much),
      arrived: (message) => this.#arrived(message),
      ended: (whole) => this.#allArrived(whole),
      tooLarge: () => this.end(tooLarge(limits.messageBytes)),
    });
    wire.whenDrained(() => this.#wake());
    this.ended = Promise.race([this.#answerAll(), this.#early.promise]);
  }

  end(why: KmsError): void {
    if (this.#reason !== undefined) return;
    this.#reason = why;
    this.#time.clear(this.#pace);
    this.#intake.discard();
    for (const message of this.#waiting.splice(0)) this.#intake.answered(message.length);
    // What the pool is at holds its memory until it is done.
    for (const work of this.#atWork) {
      const letGo = () => this.#hold(work, 0);
      work.answers.then(letGo, letGo);
    }
    this.#early.reject(why);
    this.#wake();
  }

  drain(why: KmsError): void {
    this.#draining ??= why;
    this.#intake.discard();
    this.#begin();
    this.#wake();
  }

  held(): number {
    return this.#intake.held();
  }

  stalled(): { forMs: number; nothingMuchForMs: number } {
    if (!this.#wire.isUnread() && (this.#atWork.length > 0 || this.#intake.waits()))
      return { forMs: 0, nothingMuchForMs: 0 };
    const now = this.#time.monotonicMs();
    // What it holds meanwhile, others may need.
    const forMs = this.#pace === undefined || this.#wire.isUnread() ? now - this.#movedMs : 0;
    return { forMs, nothingMuchForMs: now - this.#movedMuchMs };
  }

  #moved(much: boolean): void {
    this.#movedMs = this.#time.monotonicMs();
    if (much) this.#movedMuchMs = this.#movedMs;
  }

  #arrived(message: Buffer): void {
    this.#waiting.push(message);
    this.#begin();
    this.#wake();
  }

  #allArrived(whole: boolean): void {
    if (!whole) {
      this.end(invalidField("request", "the stream ends within a message; send all of it"));
      return;
    }
    this.#over = true;
    this.#wake();
  }

  #begin(): void {
    while (this.#mayBegin()) {
      const message = this.#waiting.shift()!;
      const bytes = message.length; // taken, it is given away and has none
      const unpacked = this.#wire.unpack?.(message, () => this.#reason === undefined);
      const answers = unpacked
        ? this.#takeUnpacked(unpacked, (more) => this.#hold(work, more))
        : this.#parts.messages.take(message);
      const work: Work = { bytes, answers };
      this.#atWork.push(work);
      work.answers.then(
        ({ bytes }) => this.#hold(work, bytes),
        () => this.#hold(work, 0),
      );
    }
  }

  /** If messages are unpacked, the next one waits until the size of this one is known; and for ever if this one is refused. */
  #mayBegin(): boolean {
    if (this.#waiting.length === 0 || this.#atWork.length === this.#parts.limits.messages) return false;
    if (this.#draining === undefined && this.#isPaced()) return false;
    if (this.#wire.unpack === undefined || this.#atWork.length === 0) return true;
    return !this.#unpacking && this.#intake.hasRoom();
  }

  /** Whether the caller's limits let no message begin now. Goes on by itself when they do. */
  #isPaced(): boolean {
    if (this.#pace !== undefined) return true;
    const waitMs = this.#parts.messages.waitMs?.() ?? 0;
    if (waitMs === 0) return false;
    this.#pace = this.#time.after(waitMs, () => {
      this.#pace = undefined;
      this.#moved(true); // until now it was the caller that waited
      this.#begin();
      this.#intake.retry();
      this.#wake();
    });
    return true;
  }

  async #takeUnpacked(unpacked: Promise<Uint8Array>, holds: (bytes: number) => void): Promise<Answers> {
    const { messages, share } = this.#parts;
    this.#unpacking = true;
    const whole = await unpacked;
    holds(whole.length);
    if (this.#reason !== undefined) throw this.#reason;
    if (share.overflows()) throw overloaded();
    const answers = messages.take(whole);
    this.#unpacking = false;
    this.#begin();
    return answers;
  }

  #hold(work: Work, bytes: number): void {
    this.#intake.changed(bytes - work.bytes);
    work.bytes = bytes;
  }

  async #answerAll(): Promise<void> {
    for (;;) {
      const work = this.#atWork[0];
      if (work === undefined) {
        if (this.#over && this.#waiting.length === 0) return this.#time.clear(this.#pace);
        if (this.#draining) throw this.#draining;
        await this.#news();
        continue;
      }
      const answers = await work.answers;
      for await (const message of answers.messages) await this.#write(message);
      this.#atWork.shift();
      const { bytes } = work;
      work.bytes = 0; // a stream that ends now gives back what is left
      this.#intake.answered(bytes);
      this.#begin();
    }
  }

  async #write(message: Uint8Array): Promise<void> {
    if (this.#reason !== undefined) throw this.#reason;
    // Until now it was the caller that waited.
    this.#moved(true);
    this.#wire.write(message);
    while (this.#wire.isFull()) await this.#news();
    this.#moved(true);
  }

  async #news(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#reason !== undefined) throw this.#reason;
  }
}
