/** Unary calls of gRPC. Bytes pass through grpc-js as they are and are decoded inside the call, so that what does not parse is INVALID_ARGUMENT. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { KmsError } from "../../errors.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { Time } from "../../runtime/time.ts";
import { grpcContext, whyCancelled } from "../call-context.ts";
import type { CallRecorder } from "../call-recorder.ts";
import type { Grow, UnaryCarrier } from "../carrier.ts";
import { decompress } from "../decompress.ts";
import { toGrpcStatus, toKmsError } from "../error-status.ts";
import { maxMessageBytes, tooLarge } from "../limits.ts";
import type { CallerOf } from "./door.ts";
import { recordedByCall, succeeded } from "./gate.ts";
import { mayBeCompressed } from "./http2/compression.ts";
import { http2StreamOf, isCompressed } from "./http2/internals.ts";
import type { HoldUnread } from "./http2/send-bound.ts";
import type { Gather } from "./run-after-parse.ts";

export type UnaryCall = ServerUnaryCall<Buffer, Uint8Array>;
type Callback = sendUnaryData<Uint8Array>;

export interface UnaryParts {
  gather: Gather;
  time: Time;
  refuse: CallRecorder["refuse"];
}

/** A handler for grpc-js, of what answers the call: after all calls that came with it are parsed. */
export function unaryHandler(
  rpc: DescMethod,
  answer: (call: UnaryCall) => MaybePromise<Uint8Array>,
  { gather, time, refuse }: UnaryParts,
): (call: UnaryCall, callback: Callback) => void {
  return (call, callback) => {
    const arrivedMs = time.monotonicMs();
    const stream = http2StreamOf(call);
    recordedByCall(stream);
    gather(stream.session, call.request.length, () => {
      if (isOver(call)) fail(callback, refuse(rpc, whyCancelled(call), arrivedMs));
      else run(call, callback, answer);
    });
  };
}

function run(call: UnaryCall, callback: Callback, answer: (call: UnaryCall) => MaybePromise<Uint8Array>): void {
  const give = (bytes: Uint8Array) => {
    succeeded(http2StreamOf(call));
    callback(null, bytes);
  };
  try {
    const answered = answer(call);
    if (answered instanceof Promise) answered.then(give, (error) => fail(callback, error));
    else give(answered);
  } catch (error) {
    fail(callback, error);
  }
}

function fail(callback: Callback, error: unknown): void {
  callback(toGrpcStatus(toKmsError(error)));
}

export function unaryCarrier(holdUnread: HoldUnread, callerOf: CallerOf): UnaryCarrier<UnaryCall, Uint8Array> {
  return {
    header: ({ metadata }, name) => metadata.get(name)[0]?.toString(),
    context(call) {
      const stream = http2StreamOf(call);
      return grpcContext(call, callerOf(stream), stream.session);
    },
    heldBytes: ({ request }) => request.length,
    body: wholeRequest,
    deliver(call, answer) {
      if (answer.length > maxMessageBytes) throw tooLarge(maxMessageBytes);
      if (isOver(call)) throw whyCancelled(call);
      holdUnread(http2StreamOf(call), answer.length);
      return answer;
    },
    // A bug stays one.
    told: (call, error) => (error instanceof KmsError && isOver(call) ? whyCancelled(call) : error),
  };
}

/** Whether grpc-js has told the caller that its deadline passed, or the caller is gone. It says nothing of a call that was not whole then. */
function isOver(call: UnaryCall): boolean {
  return call.cancelled || http2StreamOf(call).headersSent;
}

function wholeRequest(call: UnaryCall, grow: Grow): MaybePromise<Uint8Array> {
  const { request } = call;
  if (!mayBeCompressed(http2StreamOf(call)) || !isCompressed(request)) return request;
  return decompress(request, maxMessageBytes, () => !call.cancelled).then((whole) => {
    grow(whole.length);
    return whole;
  });
}
