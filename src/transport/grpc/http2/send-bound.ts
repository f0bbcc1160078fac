/**
 * A bound on answers of gRPC calls that are written and not read: what flow control does not let through lies in memory, and a caller that
 * reads nothing could leave 100 answers a connection there, of any size, for as long as it likes.
 */
import type { ServerHttp2Stream } from "node:http2";
import type { Time } from "../../../runtime/time.ts";
import { overloaded } from "../../budget.ts";
import { createStreamRoom, type RoomLimits } from "./stream-room.ts";

export const unreadLimits: RoomLimits = { bytes: 64 * 1024 * 1024, patienceMs: 5_000 };
/** An answer leaves at once where the windows of HTTP/2, 64 KiB, have room; smaller ones are not worth the counting. */
export const smallBytes = 16 * 1024;

/** Counts an answer of so many bytes until its stream is closed. Throws OVERLOADED where there is no room. */
export type HoldUnread = (stream: ServerHttp2Stream, bytes: number) => void;

export function createUnread(time: Time, limits: RoomLimits = unreadLimits): HoldUnread {
  const room = createStreamRoom(time, limits);
  return (stream, bytes) => {
    if (bytes <= smallBytes || stream.closed) return;
    if (!room.take(stream, bytes)) throw overloaded();
    stream.once("close", () => room.leave(stream));
  };
}
