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
  /** With the time of writing: the oldest first. */
  const writtenMs = new Map<ServerHttp2Stream, number>();
  let held = 0;

  /** The callers see RESOURCE_EXHAUSTED. */
  function dropUnread(): void {
    const endMs = performance.now() - patience;
    for (const [stream, atMs] of writtenMs) {
      if (atMs > endMs) return;
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }

  return (stream, bytes) => {
    if (bytes <= smallBytes || stream.closed) return;
    if (held + bytes > limit) {
      dropUnread();
      throw overloaded();
    }
    held += bytes;
    writtenMs.set(stream, performance.now());
    stream.once("close", () => {
      held -= bytes;
      writtenMs.delete(stream);
    });
  };
}
