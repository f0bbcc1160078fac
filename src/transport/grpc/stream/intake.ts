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
import { readOn, takeArriving } from "../http2/internals.ts";

export interface IntakeLimits {
  /** At work and waiting, of one stream. */
  messages: number;
  /** Likewise, and less where the share is; but one message may be larger. */
  bytes: number;
  /** Of one message. */
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
  /** Whether it is held back because of what other streams hold. */
  waits(): boolean;
  /** Lets all in that is still to come, and throws it away, with what is there of a message. `ended` is told where there is nothing of that. */
  discard(): void;
}

export interface IntakeParts {
  limits: IntakeLimits;
  share: StreamShare;
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
export function intakeOf(stream: ServerHttp2Stream, { limits, share, ...parts }: IntakeParts): Intake {
  const { arrived, ended, moved, tooLarge } = parts;
  const frames = readFrames();
  const early = earlyBytes();
  let messages = 0;
  let held = 0;
  /** What is counted for the message that has begun. */
  let begun = 0;
  let state: "reading" | "full" | "waiting" | "discarding" = "reading";
  let [hasEnded, endIsPassed] = [false, false];
  let isLost = false;
  let untilMuch = muchBytes;
  /** The message whose head is there. */
  const next = {
    bytes: 0,
    admit() {
      begin();
      goOn();
    },
  };

  const pass = takeArriving(stream, (chunk) => {
    if (chunk === null) end();
    else receive(chunk);
    return !isHeldBack();
  });
  taken.add(stream);

  function receive(chunk: Buffer): void {
    if (isDiscarding()) {
      isLost = true;
      return;
    }
    const read = isHeldBack() ? 0 : readFrom(chunk);
    if (isHeldBack()) early.keep(chunk.subarray(read));
  }

  const isHeldBack = () => state === "full" || state === "waiting";
  const isDiscarding = () => state === "discarding";

  /** As far as there is room. Returns where it stopped. */
  function readFrom(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && state === "reading") {
      at = frames.read(chunk, at);
      const length = frames.announced();
      if (length !== undefined) announced(length);
      takeWhole();
    }
    untilMuch -= at;
    moved(untilMuch <= 0);
    if (untilMuch <= 0) untilMuch = muchBytes;
    return at;
  }

  function announced(length: number): void {
    next.bytes = length;
    if (length > limits.messageBytes) tooLarge();
    else if (admits()) begin();
  }

  /** Whether there is room for the next message now. If not, it is let in as soon as there is. */
  function admits(): boolean {
    if (isFull()) state = "full";
    else if (share.ask(next)) return true;
    else state = "waiting";
    return false;
  }

  function isFull(): boolean {
    return messages > 0 && (messages >= limits.messages || held + next.bytes > most());
  }

  function most(): number {
    return Math.min(limits.bytes, share.forEach());
  }

  /** It is counted in the share. */
  function begin(): void {
    state = "reading";
    begun = next.bytes;
    hold(begun);
    messages += 1;
    frames.begin();
    untilMuch = muchBytes;
    moved(true);
  }

  function takeWhole(): void {
    const message = frames.whole();
    if (message === undefined) return;
    begun = 0;
    arrived(message);
  }

  /** What came while there was no room, and then what comes. */
  function goOn(): void {
    takeWhole();
    const read = readFrom(early.bytes());
    if (isDiscarding()) return;
    early.drop(read);
    if (isHeldBack()) return;
    if (hasEnded) passEnd();
    else readOn(stream);
  }

  /** Behind what came before, if that can be read yet; at once where the stream was reset: node waits for the end to be read, and nobody for more. */
  function end(): void {
    hasEnded = true;
    isLost ||= stream.closed;
    if (!isHeldBack() || stream.closed) passEnd();
  }

  function passEnd(): void {
    if (endIsPassed) return;
    endIsPassed = true;
    pass(null);
    stream.read(0);
    if (!isLost) ended(!frames.unfinished());
  }

  function hold(more: number): void {
    const before = held;
    held += more;
    if (before === 0 && held > 0) share.holders(1);
    if (before > 0 && held === 0) share.holders(-1);
  }

  function count(by: number): void {
    hold(by);
    share.count(by);
    if (state === "full" && admits()) next.admit();
  }

  return {
    changed: count,
    answered(bytes) {
      messages -= 1;
      count(-bytes);
    },
    held: () => held,
    hasRoom: () => held < most(),
    waits: () => state === "waiting",
    discard() {
      if (isDiscarding()) return;
      share.withdraw(next);
      state = "discarding";
      isLost = frames.unfinished();
      early.drop(early.bytes().length);
      frames.drop();
      count(-begun);
      if (hasEnded) passEnd();
      else readOn(stream);
    },
  };
}
