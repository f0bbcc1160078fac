/**
 * A bound on answers of gRPC calls that are written and not read: what flow control does not let through lies in memory, and a caller that
 * reads nothing could leave 100 answers a connection there, of any size, for as long as it likes.
 */
import { constants, type ServerHttp2Stream } from "node:http2";
import { overloaded } from "./budget.ts";

/** Of all connections together. */
const maxUnreadBytes = 64 * 1024 * 1024;
/** An answer leaves at once where the windows of HTTP/2, 64 KiB, have room; smaller ones are not worth the counting. */
const smallBytes = 16 * 1024;
/** Where there is no room for another, an answer has had this long to be read. */
const patienceMs = 5_000;

export interface UnreadLimits {
  bytes?: number | undefined;
  patienceMs?: number | undefined;
}

/** Counts an answer of so many bytes until its stream is closed. Throws OVERLOADED where there is no room. */
export type HoldUnread = (stream: ServerHttp2Stream, bytes: number) => void;

export function createUnread(limits: UnreadLimits = {}): HoldUnread {
  const { bytes: limit = maxUnreadBytes, patienceMs: patience = patienceMs } = limits;
  /** The oldest first. */
  const written = new Map<ServerHttp2Stream, { bytes: number; atMs: number }>();
  let held = 0;

  /** As many as it takes, soon. Their callers see RESOURCE_EXHAUSTED. */
  function makeRoom(needed: number): void {
    const endMs = performance.now() - patience;
    let missing = needed;
    for (const [stream, { bytes, atMs }] of written) {
      if (missing <= 0 || atMs > endMs) return;
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      missing -= bytes;
    }
  }

  return (stream, bytes) => {
    if (bytes <= smallBytes || stream.closed) return;
    if (held + bytes > limit) {
      makeRoom(held + bytes - limit);
      throw overloaded();
    }
    held += bytes;
    written.set(stream, { bytes, atMs: performance.now() });
    stream.once("close", () => {
      held -= bytes;
      written.delete(stream);
    });
  };
}
