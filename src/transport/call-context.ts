/** What a handler is told of its call. The signal is made when it is first asked for: most calls never wait for anything. */
import { KmsError } from "../errors.ts";
import type { CallContext, Caller } from "../service/context.ts";

/** `watch` is called at most once and tells `abort` why the call ended early, at once where it has already. */
export function callContext(caller: Caller, watch: (abort: (reason: KmsError) => void) => void): CallContext {
  let controller: AbortController | undefined;
  return {
    caller,
    get signal() {
      if (!controller) {
        const made = new AbortController();
        watch((reason) => made.abort(reason));
        controller = made;
      }
      return controller.signal;
    },
  };
}

export function deadlinePassed(): KmsError {
  return new KmsError("DEADLINE_EXCEEDED", "the deadline passed before the answer was ready");
}

export function callerLeft(): KmsError {
  return new KmsError("CANCELLED", "the caller cancelled the call");
}
