/** The context of a call that came by HTTP/1.1. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallContext, Caller } from "../../call/context.ts";
import type { Time } from "../../runtime/time.ts";
import { callContext, callerLeft, deadlinePassed } from "../call-context.ts";
import { maxTimerMs } from "../timeouts.ts";
import type { Connection } from "../connections/open-connection.ts";
import type { BodyBudget } from "../connections/body-budget.ts";

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Caller that the door has found. */
  caller: Caller;
  /** Arrival by `Time.monotonicMs()`: what the door takes counts in the time that the caller gives. */
  arrivedMs: number;
  /** The connection that it came by; undefined where that has closed meanwhile. */
  connection: Connection | undefined;
  /** Memory of bodies that are not whole yet. */
  bodies: BodyBudget;
  time: Time;
}

/** `timeoutMs` is what the caller gives the call, if it says so. */
export function httpContext(exchange: Exchange, timeoutMs = Infinity): CallContext {
  const { request, response, caller, arrivedMs, time } = exchange;
  return callContext(caller, request.socket, (abort) => {
    const leave = () => !response.writableFinished && abort(callerLeft());
    if (request.destroyed && !request.complete) leave();
    response.once("close", leave);
    const leftMs = arrivedMs + timeoutMs - time.monotonicMs();
    if (leftMs > maxTimerMs) return;
    const timer = time.after(Math.max(0, leftMs), () => abort(deadlinePassed())).ref();
    response.once("close", () => time.clear(timer));
  });
}
