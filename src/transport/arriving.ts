/**
 * A bound on the bytes of gRPC requests that have begun to arrive and are not whole yet: grpc-js collects each message before anyone is
 * asked, and 100 streams a connection, each just short of its limit, would fill the memory. A whole request counts in the budget. Streams
 * of messages are not bounded here: what they bring counts in the budget from its first byte on.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { http2ServersOf } from "./http2-servers.ts";
import { pieceBytes } from "./stream-intake.ts";
import { createStreamRoom, type RoomLimits } from "./stream-room.ts";

const usualLimits: RoomLimits = { bytes: 64 * 1024 * 1024, patienceMs: 30_000 };

/** Call after `server` is bound. `unbounded` are paths of methods. A stream that does not fit is reset: clients see RESOURCE_EXHAUSTED, or UNAVAILABLE while they write. */
export function boundArriving(server: Server, unbounded: ReadonlySet<string>, limits = usualLimits): void {
  const room = createStreamRoom(limits);
  for (const http2Server of http2ServersOf(server)) http2Server.on("stream", watch);

  function watch(stream: ServerHttp2Stream, { ":path": path = "" }: IncomingHttpHeaders): void {
    if (unbounded.has(path)) return;
    const leave = () => room.leave(stream);
    stream.on("data", (chunk: Buffer) => {
      if (!room.take(stream, chunk.length + pieceBytes)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    stream.on("end", leave);
    stream.on("close", leave);
  }
}
