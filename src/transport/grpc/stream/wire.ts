/** A stream of messages both ways in the form of its protocol; and gRPC's. */
import type { ServerHttp2Stream } from "node:http2";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { CallContext, Caller } from "../../../call/context.ts";
import type { KmsError } from "../../../errors.ts";
import { release } from "../../../runtime/detach.ts";
import { grpcContext, msLeft, timerSlackMs, whyCancelled } from "../../call-context.ts";
import { decompress } from "../../decompress.ts";
import { toGrpcStatus } from "../../error-status.ts";
import { maxMessageBytes } from "../../limits.ts";
import { checkEncoding, mayBeCompressed } from "../http2/compression.ts";
import { http2StreamOf, isCompressed, releaseWritten } from "../http2/internals.ts";

export interface Wire {
  readonly http2: ServerHttp2Stream;
  header(name: string): string | undefined;
  context(caller: Caller): CallContext;
  /** Milliseconds that the caller still gives. */
  leftMs(): number;
  /** Calls `leave` once if the caller leaves, or its time has passed. */
  whenLeft(leave: (why: KmsError) => void): void;
  /**
   * Unpacks a message that lies behind its head; undefined for one that is as its service takes it. Absent if all are. The
   * size of a message shows only once it is unpacked, so that the next one waits for that. `wanted` is false once nobody
   * wants it any more.
   */
  unpack?(message: Buffer, wanted: () => boolean): Promise<Uint8Array> | undefined;
  /** Writes a response, which is given away. */
  write(response: Uint8Array): void;
  /** Whether the next response has to wait until the last one was taken. */
  isFull(): boolean;
  /** Whether the caller has not taken a response that was written. */
  isUnread(): boolean;
  /** Has `wake` called whenever the next response need not wait any more. */
  whenDrained(wake: () => void): void;
  /** Ends the stream behind its last response. */
  end(): void;
  /** Ends it with an error, which is told behind what was written. */
  fail(error: KmsError): void;
}

export type GrpcStream = ServerDuplexStream<Buffer, Uint8Array>;

export function grpcWire(call: GrpcStream): Wire {
  const http2 = http2StreamOf(call);
  releaseWritten(http2);
  call.resume(); // to its end: what it brings is taken before it comes here
  const unzip = async (message: Buffer, wanted: () => boolean) => {
    checkEncoding(http2);
    return decompress(message, maxMessageBytes, wanted);
  };
  return {
    http2,
    header: (name) => call.metadata.get(name)[0]?.toString(),
    context: (caller) => grpcContext(call, caller),
    // grpc-js too ends a stream whose deadline passes, but only says so once the caller has read what was written before.
    leftMs: () => msLeft(call) - timerSlackMs,
    whenLeft: (leave) => void call.once("cancelled", () => leave(whyCancelled(call))),
    ...(mayBeCompressed(http2) && {
      unpack: (message, wanted) => (isCompressed(message) ? unzip(message, wanted) : undefined),
    }),
    write: (response) => void call.write(response, () => release(response)),
    isFull: () => call.writableNeedDrain,
    isUnread: () => call.writableLength > 0,
    whenDrained: (wake) => void call.on("drain", wake),
    end: () => void call.end(),
    fail: (error) => void call.emit("error", toGrpcStatus(error)),
  };
}
