/**
 * What arrives on the streams of gRPC before anyone is asked. grpc-js collects each message of a call, and 100 streams a connection, each just
 * short of its limit, would fill the memory: requests that are not whole yet share a bound. A whole request counts in the budget; what comes
 * on a stream of messages counts there from its first byte on, and is bounded by its intake.
 *
 * node:http2 makes an object of each DATA frame, a slice of all that was read with it, and frames of one byte would keep hundreds: what is
 * small is copied.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Time } from "../../../runtime/time.ts";
import { maxMessageBytes, tooLarge } from "../../limits.ts";
import { toGrpcStatus } from "../../error-status.ts";
import { afterGrpc, takeArriving } from "./internals.ts";
import { resetStream } from "./own-resets.ts";
import { createStreamRoom, type RoomLimits } from "./stream-room.ts";

export const arrivingLimits: RoomLimits = { bytes: 64 * 1024 * 1024, patienceMs: 30_000 };
/** What a DATA frame costs, about, beside its bytes. */
export const frameCost = 256;
/** Fits into what node allocates at once, so that copying is cheap. */
const copiedBytes = 4_096;

/** Bytes before a message: whether it is compressed, and its length. */
const headBytes = 5;
/** What grpc-js leaves out when it refuses a message that is too large: a client that repeats it would send megabytes in vain. */
const refusedHeaders = toGrpcStatus(tooLarge(maxMessageBytes)).metadata!.toHttp2Headers();

export interface ArrivingParts {
  /** Whether what comes on a stream is bounded otherwise: it is left alone. */
  isBounded(stream: ServerHttp2Stream): boolean;
  limits?: RoomLimits | undefined;
  time: Time;
}

/** Call after `server` is bound. A stream that does not fit is reset: clients see RESOURCE_EXHAUSTED, or UNAVAILABLE while they write. */
export function boundArriving(server: Server, { isBounded, limits = arrivingLimits, time }: ArrivingParts): void {
  const room = createStreamRoom(time, limits);
  afterGrpc(server, watch);

  function watch(stream: ServerHttp2Stream): void {
    if (isBounded(stream)) return;
    let isFirst = true;
    const pass = takeArriving(stream, (chunk) => {
      if (chunk === null) return pass(null);
      if (isFirst && announced(chunk) > maxMessageBytes) explainRefusal(stream);
      isFirst = false;
      if (!room.take(stream, chunk.length + frameCost)) {
        resetStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
        return false;
      }
      return pass(chunk.length < copiedBytes ? Buffer.from(chunk) : chunk);
    });
    const leave = () => room.leave(stream);
    stream.on("end", leave);
    stream.on("close", leave);
  }
}

/** Length of the message that begins with a chunk; 0 if its head came in pieces. */
function announced(chunk: Buffer): number {
  return chunk.length < headBytes ? 0 : chunk.readUInt32BE(1);
}

/** Adds what is missing to the response by which grpc-js is going to refuse the stream's first message. */
function explainRefusal(stream: ServerHttp2Stream): void {
  const { respond } = stream;
  stream.respond = (headers, options) => respond.call(stream, { ...refusedHeaders, ...headers }, options);
}
