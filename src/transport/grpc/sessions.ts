/** The connections of a gRPC server. */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Connection } from "../connections/open-connection.ts";
import type { Connections } from "../connections/connections.ts";
import { eachServerOf, eachSession, forgetEndedStreams, interceptStreams } from "./http2/internals.ts";
import { isResetByClient } from "./http2/own-resets.ts";

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

/** A property, as {@link connectionOf} is asked at each call. */
const connectionKey = Symbol("connection");

type WithConnection = { [connectionKey]?: Connection | undefined };

/** Call after `server` is bound, and before anything else sees its sessions. */
export function watchSessions(server: Server, connections: Connections): Sessions {
  const sessions = new Set<ServerHttp2Session>();
  eachServerOf(server, (listening) => connections.guard(listening, "grpc"));
  eachSession(server, (session) => {
    sessions.add(session);
    const connection = session.socket && connections.of(session.socket);
    (session as WithConnection)[connectionKey] = connection;
    connection?.endBy(
      () => session.close(),
      // Without it what was read already would still become streams.
      () => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM),
    );
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

/** The connection of a session, or of a stream that {@link countStreams} has seen. */
export function connectionOf(of: ServerHttp2Session | ServerHttp2Stream): Connection | undefined {
  return (of as WithConnection)[connectionKey];
}

/**
 * Counts the calls of each connection, and what its client resets. Call when all else that looks at streams does. `everybody` is a caller where
 * nobody is authenticated.
 */
export function countStreams(server: Server, everybody: boolean): void {
  interceptStreams(server, (stream, _headers, _rawHeaders, pass) => {
    const connection = stream.session && connectionOf(stream.session as ServerHttp2Session);
    if (connection === undefined) return stream.destroy(); // its session has gone meanwhile
    if (stream.closed) return connection.wasReset(); // nobody waits for its answer
    (stream as WithConnection)[connectionKey] = connection;
    connection.began();
    if (everybody) connection.called();
    stream.on("close", ended);
    pass();
  });
}

/** One function for all streams, as a closure a call costs more. */
function ended(this: ServerHttp2Stream): void {
  const connection = connectionOf(this)!;
  connection.ended();
  if (isResetByClient(this)) connection.wasReset();
}
