/**
 * A bound on unary calls that are open at once, of all connections: each costs 12 KB, also one that is answered and whose client does not read.
 * Where there are too many, those are reset that have been unread for long. If that does not help, a connection that has more than its share of them
 * may begin no other.
 */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Time } from "../../runtime/time.ts";
import { eachStreamOf } from "./http2/internals.ts";
import { resetStream } from "./http2/own-resets.ts";
import { unreadLimits } from "./http2/send-bound.ts";

export interface OpenCalls {
  /** False where there are too many, and the stream's connection has more than its share: `ofConnection` are open there. */
  begin(stream: ServerHttp2Stream, ofConnection: number): boolean;
  end(stream: ServerHttp2Stream): void;
}

export interface OpenCallLimits {
  calls: number;
  /** Age from which an unread one may be reset. */
  patienceMs: number;
}

export const openCallLimits: OpenCallLimits = { calls: 3_000, patienceMs: unreadLimits.patienceMs };
/** Time between two looks for those that are unread. */
const lookEveryMs = 50;
/** Resets in a look, as they hold the event loop up. */
const mostInLook = 100;

/** A property, as a set of streams would cost the collector more than a call may. */
const beganKey = Symbol("began");

type Begun = ServerHttp2Stream & { [beganKey]?: number };

export function createOpenCalls(
  time: Time,
  sessions: () => ReadonlySet<ServerHttp2Session>,
  { calls, patienceMs }: OpenCallLimits = openCallLimits,
): OpenCalls {
  let open = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;

  function resetUnread(atMs: number): void {
    if (atMs - lookedMs < lookEveryMs) return;
    lookedMs = atMs;
    let left = mostInLook;
    for (const session of sessions()) {
      if (left === 0) return;
      eachStreamOf(session, (stream) => {
        const beganMs = (stream as Begun)[beganKey];
        const isUnread = stream.writableEnded && !stream.closed;
        if (left === 0 || beganMs === undefined || !isUnread || atMs - beganMs < patienceMs) return;
        resetStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
        left -= 1;
      });
    }
  }

  return {
    begin(stream, ofConnection) {
      const atMs = time.monotonicMs();
      if (open >= calls) resetUnread(atMs);
      if (open >= calls && ofConnection > calls / sessions().size) return false;
      open += 1;
      (stream as Begun)[beganKey] = atMs;
      return true;
    },
    end(stream) {
      if ((stream as Begun)[beganKey] !== undefined) open -= 1;
    },
  };
}
