/**
 * What comes in on a stream, and how much of it at a time. Each message is counted from its first byte until it is answered, its answers
 * with it. A message begins to be read only where there is room for all of it: in the stream itself, and in the share of all streams.
 *
 * grpc-js would read on as soon as a message is taken from it. So the bytes are taken before they come to it, and it only hears of their end.
 */
import type { ServerHttp2Stream } from "node:http2";
import { earlyBytes } from "./early-bytes.ts";
import { readFrames } from "./frames.ts";
import type { StreamShare } from "../../stream-share.ts";
import { connectionOf } from "../sessions.ts";
import { type Arriving, readOn, takeArriving } from "../http2/internals.ts";

export interface IntakeLimits {
  /** Bounds on what one stream has at work and waiting. */
  messages: number;
  /** Likewise, and less where the share is; but one message may be larger. */
  bytes: number;
  /** Bytes of one message, at most. */
  messageBytes: number;
}

export interface Intake {
  /** What is held for a message is more now or, below 0, less. */
  changed(by: number): void;
  /** A message is answered and no longer held. */
  answered(bytes: number): void;
  held(): number;
  /** Whether the stream may hold more than it does. */
  hasRoom(): boolean;
  /** Reads on if there is room, and whoever {@link IntakeParts.mayBegin} asked no longer minds. */
  retry(): void;
  /** Whether it is held back because of what other streams hold. */
  waits(): boolean;
  /** Lets all in that is still to come, and throws it away, with what is there of a message. `ended` is told where there is nothing of that. */
  discard(): void;
}

export interface IntakeParts {
  limits: IntakeLimits;
  share: StreamShare;
  /** Whether another message may begin. If not, `retry` is called when it may. */
  mayBegin(): boolean;
  /** The next message, behind its head in memory of its own. */
  arrived(message: Buffer): void;
  /** No more comes; `whole` unless a message has begun and is not all there. */
  ended(whole: boolean): void;
  /** The caller sent something: `much` with a message's beginning, or a good part of one. */
  moved(much: boolean): void;
  /** The caller announced a message that is too large. */
  tooLarge(): void;
}

const muchBytes = 256 * 1024;

const taken = new WeakSet<ServerHttp2Stream>();

/** Whether what comes on the stream is bounded here. */
export function hasIntake(stream: ServerHttp2Stream): boolean {
  return taken.has(stream);
}

/** Call before anything has come. */
export function intakeOf(stream: ServerHttp2Stream, parts: IntakeParts): Intake {
  const intake = new StreamIntake(stream, parts);
  taken.add(stream);
  return intake;
}

/**
 * A state machine, as a class of small steps. It is one piece, because every change of what is held may move the state: from "full" or
 * "waiting" back to "reading", and from there on to the bytes that came early.
 */
class StreamIntake implements Intake {
  readonly #stream: ServerHttp2Stream;
  readonly #parts: IntakeParts;
  readonly #pass: (chunk: Arriving) => boolean;
  readonly #frames = readFrames();
  readonly #early = earlyBytes();
  #state: "reading" | "full" | "waiting" | "discarding" = "reading";
  #messages = 0;
  #held = 0;
  /** What is counted for the message that has begun. */
  #begun = 0;
  #hasEnded = false;
  #endIsPassed = false;
  #isLost = false;
  #untilMuch = muchBytes;
  /** The message whose head is there. */
  readonly #next = {
    bytes: 0,
    admit: () => {
      this.#begin();
      this.#goOn();
    },
  };

  constructor(stream: ServerHttp2Stream, parts: IntakeParts) {
    this.#stream = stream;
    this.#parts = parts;
    this.#pass = takeArriving(stream, (chunk) => {
      if (chunk === null) this.#end();
      else {
        connectionOf(stream)?.received(chunk.length);
        this.#receive(chunk);
      }
      return !this.#isHeldBack();
    });
  }

  changed(by: number): void {
    this.#count(by);
  }

  answered(bytes: number): void {
    this.#messages -= 1;
    this.#count(-bytes);
  }

  held(): number {
    return this.#held;
  }

  retry(): void {
    this.#count(0);
  }

  hasRoom(): boolean {
    return this.#held < this.#most();
  }

  waits(): boolean {
    return this.#state === "waiting";
  }

  discard(): void {
    if (this.#isDiscarding()) return;
    this.#parts.share.withdraw(this.#next);
    this.#state = "discarding";
    this.#isLost = this.#frames.unfinished();
    this.#early.drop(this.#early.bytes().length);
    this.#frames.drop();
    this.#count(-this.#begun);
    if (this.#hasEnded) this.#passEnd();
    else readOn(this.#stream);
  }

  #receive(chunk: Buffer): void {
    if (this.#isDiscarding()) {
      this.#isLost = true;
      return;
    }
    const read = this.#isHeldBack() ? 0 : this.#readFrom(chunk);
    if (this.#isHeldBack()) this.#early.keep(chunk.subarray(read));
  }

  #isHeldBack(): boolean {
    return this.#state === "full" || this.#state === "waiting";
  }

  #isDiscarding(): boolean {
    return this.#state === "discarding";
  }

  /** Takes as much as there is room for. Returns where it stopped. */
  #readFrom(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#state === "reading") {
      at = this.#frames.read(chunk, at);
      const length = this.#frames.announced();
      if (length !== undefined) this.#announced(length);
      this.#takeWhole();
    }
    this.#untilMuch -= at;
    const isMuch = this.#untilMuch <= 0;
    this.#parts.moved(isMuch);
    if (isMuch) this.#untilMuch = muchBytes;
    return at;
  }

  #announced(length: number): void {
    this.#next.bytes = length;
    if (length > this.#parts.limits.messageBytes) this.#parts.tooLarge();
    else if (this.#admits()) this.#begin();
  }

  /** Whether there is room for the next message now. If not, it is let in as soon as there is. */
  #admits(): boolean {
    if (this.#isFull() || !this.#parts.mayBegin()) this.#state = "full";
    else if (this.#parts.share.ask(this.#next)) return true;
    else this.#state = "waiting";
    return false;
  }

  #isFull(): boolean {
    const { messages } = this.#parts.limits;
    return this.#messages > 0 && (this.#messages >= messages || this.#held + this.#next.bytes > this.#most());
  }

  #most(): number {
    return Math.min(this.#parts.limits.bytes, this.#parts.share.forEach());
  }

  /** It is counted in the share. */
  #begin(): void {
    this.#state = "reading";
    this.#begun = this.#next.bytes;
    this.#hold(this.#begun);
    this.#messages += 1;
    this.#frames.begin();
    this.#untilMuch = muchBytes;
    this.#parts.moved(true);
  }

  #takeWhole(): void {
    const message = this.#frames.whole();
    if (message === undefined) return;
    this.#begun = 0;
    this.#parts.arrived(message);
  }

  /** What came while there was no room, and then what comes. */
  #goOn(): void {
    this.#takeWhole();
    const read = this.#readFrom(this.#early.bytes());
    if (this.#isDiscarding()) return;
    this.#early.drop(read);
    if (this.#isHeldBack()) return;
    if (this.#hasEnded) this.#passEnd();
    else readOn(this.#stream);
  }

  /** Behind what came before, if that can be read yet; at once where the stream was reset: node waits for the end to be read, and nobody for more. */
  #end(): void {
    this.#hasEnded = true;
    this.#isLost ||= this.#stream.closed;
    if (!this.#isHeldBack() || this.#stream.closed) this.#passEnd();
  }

  #passEnd(): void {
    if (this.#endIsPassed) return;
    this.#endIsPassed = true;
    this.#pass(null);
    this.#stream.read(0);
    if (!this.#isLost) this.#parts.ended(!this.#frames.unfinished());
  }

  #hold(more: number): void {
    const before = this.#held;
    this.#held += more;
    if (before === 0 && this.#held > 0) this.#parts.share.holders(1);
    if (before > 0 && this.#held === 0) this.#parts.share.holders(-1);
  }

  #count(by: number): void {
    this.#hold(by);
    this.#parts.share.count(by);
    if (this.#state === "full" && this.#admits()) this.#next.admit();
  }
}
