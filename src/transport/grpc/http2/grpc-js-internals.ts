/** HTTP/2 beneath grpc-js, for what it has no option for. It keeps these to itself; the pinned version and tests guard them. */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server, ServerDuplexStream, ServerUnaryCall } from "@grpc/grpc-js";

/** Of a server that is bound. */
export function http2ServersOf(server: Server): Iterable<Http2Server> {
  return (server as unknown as { http2Servers: ReadonlyMap<Http2Server, unknown> }).http2Servers.keys();
}

export function http2StreamOf<In, Out>(
  call: ServerUnaryCall<In, Out> | ServerDuplexStream<In, Out>,
): ServerHttp2Stream {
  return (call as unknown as { call: { stream: ServerHttp2Stream } }).call.stream;
}

/** Has `lets` look at each stream of a server that is bound before whoever listens now. They get those that it lets through. */
export function beforeStreams(
  server: Server,
  lets: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean,
): void {
  for (const http2Server of http2ServersOf(server)) {
    const listeners = http2Server.listeners("stream");
    http2Server.removeAllListeners("stream");
    http2Server.on("stream", (stream: ServerHttp2Stream, headers, flags, rawHeaders) => {
      if (!lets(stream, headers)) return;
      for (const listener of listeners) listener.call(http2Server, stream, headers, flags, rawHeaders);
    });
  }
}
