/**
 * Memory that HTTP/2 streams share, of all connections together. Where one finds none left, those that have held theirs for long are reset,
 * the oldest first: their callers see RESOURCE_EXHAUSTED, and who comes next finds room.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Time } from "../../../runtime/time.ts";
import { resetStream } from "./own-resets.ts";

export interface RoomLimits {
  bytes: number;
  patienceMs: number;
}

export interface StreamRoom {
  /** Gives a stream more. False where there is no room. */
  take(stream: ServerHttp2Stream, bytes: number): boolean;
  /** Takes back all that the stream has. */
  leave(stream: ServerHttp2Stream): void;
}

interface Held {
  bytes: number;
  sinceMs: number;
}

export function createStreamRoom(time: Time, { bytes: limit, patienceMs }: RoomLimits): StreamRoom {
  /** The oldest first. */
  const holders = new Map<ServerHttp2Stream, Held>();
  let held = 0;

  /** As many as it takes, soon. */
  function makeRoom(needed: number): void {
    const endMs = time.monotonicMs() - patienceMs;
    let missing = needed;
    for (const [stream, { bytes, sinceMs }] of holders) {
      if (missing <= 0 || sinceMs > endMs) return;
      resetStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
      missing -= bytes;
    }
  }

  return {
    take(stream, bytes) {
      if (held + bytes > limit) {
        makeRoom(held + bytes - limit);
        return false;
      }
      held += bytes;
      const before = holders.get(stream);
      if (before === undefined) holders.set(stream, { bytes, sinceMs: time.monotonicMs() });
      else before.bytes += bytes;
      return true;
    },
    leave(stream) {
      held -= holders.get(stream)?.bytes ?? 0;
      holders.delete(stream);
    },
  };
}
