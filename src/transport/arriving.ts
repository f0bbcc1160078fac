/**
 * A bound on the bytes of gRPC requests that have begun to arrive and are not whole yet: grpc-js collects each message before anyone is
 * asked, and 100 streams a connection, each just short of its limit, would fill the memory. A whole request counts in the budget. Streams
 * of messages are not bounded here: what they bring counts in the budget from its first byte on.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { http2ServersOf } from "./http2-servers.ts";
import { pieceBytes } from "./stream-intake.ts";

/** Of all connections together. */
export const maxArrivingBytes = 64 * 1024 * 1024;

/** Call after `server` is bound. `unbounded` are paths of methods. A stream that does not fit is reset: clients see RESOURCE_EXHAUSTED, or UNAVAILABLE while they write. */
export function boundArriving(server: Server, unbounded: ReadonlySet<string>, limit = maxArrivingBytes): void {
  let held = 0;
  for (const http2Server of http2ServersOf(server)) http2Server.on("stream", watch);

  function watch(stream: ServerHttp2Stream, { ":path": path = "" }: IncomingHttpHeaders): void {
    if (unbounded.has(path)) return;
    let counted = 0;
    const release = () => {
      held -= counted;
      counted = 0;
    };
    stream.on("data", (chunk: Buffer) => {
      const bytes = chunk.length + pieceBytes;
      if (held + bytes > limit) return stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      held += bytes;
      counted += bytes;
    });
    stream.on("end", release);
    stream.on("close", release);
  }
}
