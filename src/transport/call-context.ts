/** What a handler is told of its call. The signal is made when it is first asked for: most calls never wait for anything. */
import type { EventEmitter } from "node:events";
import { KmsError } from "../errors.ts";
import type { CallContext, Caller } from "../call/context.ts";

/** Tells `abort` why the call ended early, at once where it has already. */
type Watch = (abort: (reason: KmsError) => void) => void;

/** `watch` is called at most once. */
export function callContext(caller: Caller, connection: object | undefined, watch: Watch): CallContext {
  return new LazyContext(caller, connection, watch);
}

/** A class, because the getter of an object literal is a shape of its own to V8: it keeps each call until the next full collection. */
class LazyContext implements CallContext {
  readonly caller: Caller;
  readonly connection: object | undefined;
  readonly #watch: Watch;
  #controller: AbortController | undefined;

  constructor(caller: Caller, connection: object | undefined, watch: Watch) {
    this.caller = caller;
    this.connection = connection;
    this.#watch = watch;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const made = new AbortController();
      this.#watch((reason) => made.abort(reason));
      this.#controller = made;
    }
    return this.#controller.signal;
  }
}

/** A call of gRPC, as far as its context needs it. */
export interface GrpcCall extends EventEmitter {
  readonly cancelled: boolean;
  getDeadline(): Date | number;
}

/** Milliseconds that a call has left: by the clock of the system, and not by the one that parts are given, as grpc-js reckons deadlines by it. */
export function msLeft(call: Pick<GrpcCall, "getDeadline">): number {
  return Number(call.getDeadline()) - Date.now();
}

/** A timer of Node's may fire this much before the clock on the wall says so. */
export const timerSlackMs = 5;

export function grpcContext(call: GrpcCall, caller: Caller, connection?: object): CallContext {
  return callContext(caller, connection, (abort) => {
    const leave = () => abort(whyCancelled(call));
    if (call.cancelled) leave();
    else call.once("cancelled", leave);
  });
}

/** Why a call that is cancelled was. */
export function whyCancelled(call: GrpcCall): KmsError {
  return isLate(call) ? deadlinePassed() : callerLeft();
}

function isLate(call: GrpcCall): boolean {
  return msLeft(call) <= timerSlackMs;
}

export function deadlinePassed(): KmsError {
  return new KmsError("DEADLINE_EXCEEDED", "the deadline passed before the answer was ready");
}

export function callerLeft(): KmsError {
  return new KmsError("CANCELLED", "the caller cancelled the call");
}
