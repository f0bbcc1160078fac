/** The connections of a gRPC server. */
import type { ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { eachSession, forgetEndedStreams } from "./http2/internals.ts";

export interface Sessions {
  /**
   * Whether calls are open, from the first byte of the request to the last of the answer. grpc-js does not tell; a session that is shutting
   * down is destroyed once it has no call left.
   */
  haveCalls(): boolean;
  destroy(): void;
}

/** Bytes under way on a connection: with the 64 KiB of HTTP/2 its streams, which have 64 KiB each, would wait for each other's round trips. */
const connectionWindowBytes = 1024 * 1024;

/** Call after `server` is bound. */
export function watchSessions(server: Server): Sessions {
  const sessions = new Set<ServerHttp2Session>();
  eachSession(server, (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    // What is under way on a connection, not what is held: node:http2 asks for more as soon as a stream has its part.
    session.setLocalWindowSize(connectionWindowBytes);
    forgetEndedStreams(session);
  });
  return {
    haveCalls: () => [...sessions].some(({ destroyed }) => !destroyed),
    destroy() {
      for (const session of sessions) session.destroy();
    },
  };
}
