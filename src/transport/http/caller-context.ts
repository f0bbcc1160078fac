/** The context of a call that came by HTTP/1.1. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallContext, Caller } from "../../call/context.ts";
import { callContext, callerLeft, deadlinePassed } from "../call-context.ts";
import { maxTimerMs } from "../timeouts.ts";

export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** `timeoutMs` from now, if the caller named one. */
export function httpContext({ request, response }: Exchange, caller: Caller, timeoutMs = Infinity): CallContext {
  const startedMs = performance.now();
  return callContext(caller, (abort) => {
    const leave = () => !response.writableFinished && abort(callerLeft());
    if (request.destroyed && !request.complete) leave();
    response.once("close", leave);
    const leftMs = startedMs + timeoutMs - performance.now();
    if (leftMs > maxTimerMs) return;
    const timer = setTimeout(() => abort(deadlinePassed()), Math.max(0, leftMs));
    response.once("close", () => clearTimeout(timer));
  });
}
