/**
 * Bytes of requests that were accepted and not answered yet, of both transports together. Past the limit a request is
 * refused before it is decoded, so that a flood costs memory up to a bound and no work. A stream waits instead.
 */
import { KmsError } from "../errors.ts";
import { endingWith, type MaybePromise } from "../call/maybe-promise.ts";
import type { Time } from "../runtime/time.ts";
import { createStreamShare, type StreamShare } from "./stream-share.ts";

export interface Budget {
  /**
   * Counts `bytes` while `call` runs. Throws OVERLOADED, without calling, when they do not fit. `grow` counts more until then, for
   * a body whose length shows as it arrives; it throws likewise. `until` is for a call that holds its bytes for longer than it runs.
   */
  hold<T>(
    bytes: number,
    call: (grow: (more: number) => void) => MaybePromise<T>,
    until?: Promise<void>,
  ): MaybePromise<T>;
  /** Calls that are running now. */
  calls(): number;
  /** Bytes that calls and streams hold now. Answers of streams may take them past the limit. */
  heldBytes(): number;
  /** Bytes that calls and streams may hold together. */
  readonly limit: number;
  /** Their share of it: whatever streams hold, the rest is there for calls. */
  streams: StreamShare;
}

export const maxHeldBytes = 64 * 1024 * 1024;
/** What all streams together may hold of it. */
export const streamsShare = 0.5;

export function createBudget(time: Time, limit = maxHeldBytes): Budget {
  let held = 0;
  let calls = 0;
  const forStreams = limit * streamsShare;
  const streams = createStreamShare({ limit: forStreams, room: () => limit - held, time });
  return {
    limit,
    streams,
    heldBytes: () => held + streams.held(),
    hold(bytes, call, until) {
      let counted = 0;
      const grow = (more: number) => {
        // Answers of streams may be larger than what they were admitted for. Calls do not pay for that.
        if (held + Math.min(streams.held(), forStreams) + more > limit) throw overloaded();
        held += more;
        counted += more;
      };
      const release = () => {
        held -= counted;
        calls -= 1;
        streams.admit();
      };
      const end = () => (until === undefined ? release() : void until.then(release));
      grow(bytes);
      calls += 1;
      return endingWith(() => call(grow), end);
    },
    calls: () => calls,
  };
}

export function overloaded(): KmsError {
  return new KmsError("OVERLOADED", "too many requests at once: try again later");
}
