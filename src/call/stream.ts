/** A stream of messages both ways, as its service sees it: the transport moves the messages, in their order, and bounds how many there are. */
import type { CallContext } from "./context.ts";

/** Called once a stream. */
export type StreamHandler = (context: CallContext) => MessageStream;

export interface MessageStream {
  /**
   * Begins the work on a message, which is given away, at once; several of a stream may be at work. Resolves with the answers as soon as
   * there are some: they are given in the order of the messages. Rejects where the stream cannot go on: nothing behind that message is
   * answered.
   */
  take(message: Uint8Array): Promise<Answers>;
  /** Milliseconds until another message may be taken; 0 if it may now. Absent for a stream without limits. */
  waitMs?(): number;
}

export interface Answers {
  /** What they hold in memory until they are given. */
  bytes: number;
  /** One response message each, made when it is asked for, and given away. */
  messages: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}
