/** The context of a call that came by gRPC. */
import type { EventEmitter } from "node:events";
import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { KmsError } from "../../../errors.ts";
import type { CallContext, Caller } from "../../../call/context.ts";
import { callContext, callerLeft, deadlinePassed } from "../../call-context.ts";

type GrpcCall = Pick<ServerUnaryCall<unknown, unknown>, "cancelled" | "getDeadline"> & EventEmitter;

/** A timer of Node's may fire this much before the clock on the wall says so. */
export const timerSlackMs = 5;

export function grpcContext(call: GrpcCall, caller: Caller): CallContext {
  return callContext(caller, (abort) => {
    const leave = () => abort(whyCancelled(call));
    if (call.cancelled) leave();
    else call.once("cancelled", leave);
  });
}

/** Of a call that is. */
export function whyCancelled(call: GrpcCall): KmsError {
  return isLate(call) ? deadlinePassed() : callerLeft();
}

/** Whether the call's deadline has passed. */
export function isLate(call: GrpcCall): boolean {
  return Number(call.getDeadline()) <= Date.now() + timerSlackMs;
}
