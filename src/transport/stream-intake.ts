/**
 * What comes in on a stream, and how much of it at a time. Each message is counted from its first byte until it is answered, its answers
 * with it. A message begins to be read only where there is room for all of it: in the stream itself, and in the share of all streams.
 *
 * grpc-js reads on as soon as a message is taken from it and has no hook before its buffers, so the HTTP/2 stream itself is followed and
 * held back: its `resume` waits while there is no room.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import { smallFrames } from "./small-frames.ts";
import { followFrames } from "./stream-frames.ts";
import type { StreamShare } from "./stream-share.ts";

export interface IntakeLimits {
  /** At work and waiting, of one stream. */
  messages: number;
  /** Likewise, and less where the share is; but one message may be larger. */
  bytes: number;
  /** Of one message. */
  messageBytes: number;
}

export interface Intake {
  /** The next message is there, whole. */
  arrived(): void;
  /** What is held for a message is more now or, below 0, less. */
  changed(by: number): void;
  /** A message is answered and no longer held. */
  answered(bytes: number): void;
  held(): number;
  /** Whether the stream may hold more than it does. */
  hasRoom(): boolean;
  /** Whether a message has begun and is not whole. */
  unfinished(): boolean;
  /** Whether it is held back because of what other streams hold. */
  waits(): boolean;
  /** Lets no more in. */
  shut(): void;
  /** Lets all in that is still to come, and throws it away. */
  discard(): void;
}

export interface IntakeParts {
  limits: IntakeLimits;
  share: StreamShare;
  /** The caller sent something: `much` with a whole message, or a good part of one. */
  moved(much: boolean): void;
  /** The caller announced a message that is too large. grpc-js refuses it by itself. */
  tooLarge(): void;
  /** The caller sent more messages at once than anyone needs, or one in more pieces: an empty one costs memory, too. The stream is reset. */
  tooMany(): void;
}

const muchBytes = 256 * 1024;
/** That are not answered. A chunk of 16 KiB may have thousands. */
const mostMessages = 512;

export function intakeOf(stream: ServerHttp2Stream, { limits, share, moved, tooLarge, tooMany }: IntakeParts): Intake {
  const frames = followFrames();
  /** Of the message that has begun. */
  const pieces = smallFrames();
  /** Sizes of the messages that are counted and have not arrived, in order. */
  const announced: number[] = [];
  let messages = 0;
  let held = 0;
  let open = true;
  let state: "reading" | "full" | "waiting" | "shut" | "discarding" = "reading";
  let untilMuch = muchBytes;
  /** The message that has begun and is not counted yet; 0 bytes where there is none. */
  const next = {
    bytes: 0,
    admit() {
      hold(next.bytes);
      next.bytes = 0;
      moved(true);
      read();
    },
  };

  const resume = stream.resume;
  stream.resume = () => (open ? resume.call(stream) : stream);
  // Before grpc-js, which makes much of a chunk of many messages, unless the stream is closed.
  stream.prependListener("data", follow);

  function follow(chunk: Uint8Array): void {
    if (state === "discarding") return;
    const lengths = frames.read(chunk);
    if (lengths.length > 0) pieces.forget();
    const isInPieces = frames.missing() > 0 && pieces.areTooMany(chunk.length);
    untilMuch -= chunk.length;
    const much = lengths.length > 0 || untilMuch <= 0;
    if (much) untilMuch = muchBytes;
    moved(much);
    if (lengths.some((length) => length > limits.messageBytes)) {
      tooLarge();
      return;
    }
    messages += lengths.length;
    announced.push(...lengths);
    if (lengths.length > 0 && frames.missing() > 0) next.bytes = lengths.pop()!;
    count(sum(lengths));
    if (isInPieces || messages > mostMessages) {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      tooMany();
    } else if (next.bytes > 0 || lengths.length > 0) letIn();
  }

  function letIn(): void {
    if (state === "shut" || state === "discarding") return;
    if (isFull()) keepOut("full");
    else if (share.ask(next)) next.admit();
    else keepOut("waiting");
  }

  function isFull(): boolean {
    const others = next.bytes > 0 ? messages - 1 : messages;
    return others > 0 && (others >= limits.messages || held + next.bytes > most());
  }

  function most(): number {
    return Math.min(limits.bytes, share.forEach());
  }

  function keepOut(why: "full" | "waiting" | "shut"): void {
    state = why;
    open = false;
    stream.pause();
  }

  function read(): void {
    state = "reading";
    open = true;
    resume.call(stream);
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
    if (by < 0 && state === "full") letIn();
  }

  return {
    arrived: () => void announced.shift(),
    changed: count,
    answered(bytes) {
      messages -= 1;
      count(-bytes);
      if (state === "full") letIn();
    },
    held: () => held,
    hasRoom: () => held < most(),
    unfinished: frames.unfinished,
    waits: () => state === "waiting",
    shut() {
      share.withdraw(next);
      keepOut("shut");
    },
    discard() {
      if (state === "discarding") return;
      share.withdraw(next);
      count(next.bytes - sum(announced));
      read();
      state = "discarding";
    },
  };
}

function sum(lengths: readonly number[]): number {
  return lengths.reduce((total, length) => total + length, 0);
}
