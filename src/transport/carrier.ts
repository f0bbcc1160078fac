/** What the transport that brings a call does of it itself, and the forms of messages. `native` is the call as its transport knows it. */
import type { CallContext } from "../call/context.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";
import type { MessageStream } from "../call/stream.ts";

export interface Carrier<Native> {
  header(native: Native, name: string): string | undefined;
  /** Makes the context of a call, with the caller whom the door has found. */
  context(native: Native): CallContext;
}

/** Counts bytes that a call holds beyond those of its beginning. Throws OVERLOADED if they are too many. */
export type Grow = (more: number) => void;

export interface BodyCarrier<Native> extends Carrier<Native> {
  /** The request's message, whole and decompressed. */
  body(native: Native, grow: Grow): MaybePromise<Uint8Array>;
}

export interface UnaryCarrier<Native, Sent, Written = Uint8Array> extends BodyCarrier<Native> {
  /** Bytes that the call holds from its beginning. */
  heldBytes(native: Native): number;
  /** Until when it holds them; until it is answered, unless given. */
  heldUntil?(native: Native): Promise<void>;
  /** Makes a response ready to be sent. Throws MESSAGE_TOO_LARGE if it is larger than a request may be. */
  deliver(native: Native, answer: Written): MaybePromise<Sent>;
  /** What is recorded for an error that comes late: what the caller was told meanwhile. */
  told?(native: Native, error: unknown): unknown;
}

export interface StreamCarrier<Native> extends Carrier<Native> {
  /** Moves the messages of a stream until it ends. */
  serve(native: Native, messages: MessageStream): Promise<void>;
}

/** Reads requests, and writes answers. */
export interface Form<In, Out, Written, Native = unknown> {
  decode(bytes: Uint8Array, native: Native): In;
  encode(answer: Out, native: Native): MaybePromise<Written>;
}

/** A form of messages of a method whose types its caller does not know. */
export interface CallForm<Written> {
  decode(bytes: Uint8Array): unknown;
  encode(answer: never): Written;
}
