/**
 * The streams of a server, which serve messages both ways: how each begins and how it ends, whoever ends it. A caller that leaves its stream
 * alone loses it after a while; at once, where others wait for the memory that it holds.
 */
import { constants } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { KmsError, type KmsErrorCode } from "../../../errors.ts";
import type { Credential } from "../../../call/context.ts";
import type { MessageStream, StreamHandler } from "../../../call/stream.ts";
import type { Time, Timer } from "../../../runtime/time.ts";
import type { Calls } from "../../pipeline.ts";
import type { StreamCarrier } from "../../carrier.ts";
import { deadlinePassed } from "../../call-context.ts";
import type { CallerOf } from "../door.ts";
import { recordedByCall, succeeded } from "../gate.ts";
import { resetStream } from "../http2/own-resets.ts";
import { type StreamCall, streamCall } from "./call.ts";
import type { IntakeLimits } from "./intake.ts";
import { toKmsError } from "../../error-status.ts";
import { maxTimerMs } from "../../timeouts.ts";
import type { Wire } from "./wire.ts";

export interface StreamTimes {
  /** After which a stream on which nothing moves is ended. */
  idleMs: number;
  /** Likewise one that holds memory for which another has waited as long. */
  holdUpMs: number;
}

export const defaultTimes: StreamTimes = { idleMs: 60_000, holdUpMs: 5_000 };
export const atWork = { messages: 8, bytes: 512 * 1024 };
const looksPerTime = 5;
const longestLookMs = 1_000;
/** A caller that was told why its stream ended has this long to end its side, */
const lingerMs = 5_000;
/** and this long to read what it was told. */
const unreadMs = 100;

export interface StreamsSettings {
  messageBytes: number;
  callerOf: CallerOf;
  time: Time;
  times?: StreamTimes | undefined;
}

export interface Streams {
  serve(method: DescMethod, handler: StreamHandler): (wire: Wire) => void;
  /** Has each stream end when what it brought so far is answered. */
  drain(): void;
}

export function createStreams(
  calls: Calls,
  { messageBytes, callerOf, time, times = defaultTimes }: StreamsSettings,
): Streams {
  const limits: IntakeLimits = { ...atWork, messageBytes };
  const share = calls.budget.streams;
  const open = new Map<StreamCall, Credential | undefined>();
  const everyMs = Math.min(longestLookMs, times.idleMs / looksPerTime, times.holdUpMs / looksPerTime);
  let looking: Timer | undefined;
  let draining = false;

  function look(): void {
    for (const [stream, credential] of open) {
      const ended = endOf(credential);
      if (ended) stream.drain(ended);
      const { forMs, nothingMuchForMs } = stream.stalled();
      const holdsUp = stream.held() > 0 && share.waitedMs() >= times.holdUpMs;
      if (forMs >= times.idleMs) stream.end(idle());
      else if (holdsUp && nothingMuchForMs >= times.holdUpMs) stream.end(inTheWay());
    }
  }

  function add(stream: StreamCall, credential: Credential | undefined): void {
    looking ??= time.every(everyMs, look);
    open.set(stream, credential);
    if (draining) stream.drain(shuttingDown());
  }

  function remove(stream: StreamCall): void {
    open.delete(stream);
    if (open.size > 0) return;
    time.clear(looking);
    looking = undefined;
  }

  const carrier: StreamCarrier<Wire> = {
    header: (wire, name) => wire.header(name),
    context: (wire) => wire.context(callerOf(wire.http2)),
    serve(wire, messages) {
      const { credential } = callerOf(wire.http2);
      const stream = streamCall({ wire, messages: whileGood(messages, credential), limits, share, time });
      add(stream, credential);
      endWithCaller(time, wire, stream);
      return stream.ended.finally(() => remove(stream));
    },
  };

  return {
    serve(rpc, handler) {
      const answer = calls.stream(rpc, handler, carrier);
      return (wire) => {
        recordedByCall(wire.http2);
        Promise.try(answer, wire).then(
          () => {
            succeeded(wire.http2);
            wire.end();
          },
          (thrown) => tell(time, toKmsError(thrown), wire),
        );
      };
    },
    drain() {
      draining = true;
      for (const stream of open.keys()) stream.drain(shuttingDown());
    },
  };
}

function endWithCaller(time: Time, wire: Wire, stream: StreamCall): void {
  const leftMs = wire.leftMs();
  const timer =
    leftMs < maxTimerMs ? time.after(Math.max(0, leftMs), () => stream.end(deadlinePassed())).ref() : undefined;
  wire.whenLeft((why) => {
    time.clear(timer);
    stream.end(why);
  });
}

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_REFUSED_STREAM } = constants;

/** Which reset a client takes for the status that could not be sent. */
const resets: Partial<Record<KmsErrorCode, number>> = {
  OVERLOADED: NGHTTP2_ENHANCE_YOUR_CALM,
  MESSAGE_TOO_LARGE: NGHTTP2_ENHANCE_YOUR_CALM,
  IDLE: NGHTTP2_REFUSED_STREAM,
};

/** A status comes behind what was written before: where the caller does not read that, a reset has to say it. */
function tell(time: Time, error: KmsError, wire: Wire): void {
  const { http2 } = wire;
  wire.fail(error);
  const reset = () => resetStream(http2, wire.isUnread() ? (resets[error.code] ?? NGHTTP2_CANCEL) : NGHTTP2_NO_ERROR);
  const linger = time.after(wire.isUnread() ? unreadMs : lingerMs, reset);
  http2.once("close", () => time.clear(linger));
}

/** Asked before each message too, as a credential may end between two looks. */
function whileGood(messages: MessageStream, credential: Credential | undefined): MessageStream {
  if (credential === undefined) return messages;
  return {
    ...messages,
    async take(message) {
      credential.check();
      return messages.take(message);
    },
  };
}

/** Why a credential is good no more. */
function endOf(credential: Credential | undefined): KmsError | undefined {
  try {
    credential?.check();
    return undefined;
  } catch (error) {
    return toKmsError(error);
  }
}

function shuttingDown(): KmsError {
  return new KmsError("DRAINING", "the service is shutting down: open a stream to another replica");
}

function idle(): KmsError {
  return new KmsError("IDLE", "nothing moved on the stream for a while: open another when there is something to sign");
}

function inTheWay(): KmsError {
  return new KmsError(
    "OVERLOADED",
    "others wait for the memory of this stream, on which nothing moves: read its answers",
  );
}
