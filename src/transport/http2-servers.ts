/** The HTTP/2 servers beneath grpc-js, for what it has no option for. */
import type { Http2Server } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** Of a server that is bound. grpc-js keeps them to itself; the pinned version and a test guard this. */
export function http2ServersOf(server: Server): Iterable<Http2Server> {
  return (server as unknown as { http2Servers: ReadonlyMap<Http2Server, unknown> }).http2Servers.keys();
}
