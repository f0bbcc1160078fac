/** The connections of a gRPC server. */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import { overloaded } from "../budget.ts";
import type { CallRecorder } from "../call-recorder.ts";
import { maxHeaderBytes } from "../limits.ts";
import { type Connection, connectionWindowBytes } from "../connections/open-connection.ts";
import type { Connections } from "../connections/connections.ts";
import {
  countArriving,
  eachServerOf,
  eachSession,
  forgetEndedStreams,
  interceptStreams,
  isEndedByClient,
} from "./http2/internals.ts";
import { isResetByClient, resetStream } from "./http2/own-resets.ts";
import { respondTrailersOnly } from "./http2/trailers-only.ts";
import type { OpenCalls } from "./open-calls.ts";

export interface Sessions {
  /**
   * Whether calls are open, from the first byte of the request to the last of the answer. grpc-js does not tell; a session that is shutting
   * down is destroyed once it has no call left.
   */
  haveCalls(): boolean;
  all(): ReadonlySet<ServerHttp2Session>;
  destroy(): void;
}

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
      // What was read already would still become streams.
      () => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM),
    );
    session.once("close", () => sessions.delete(session));
    // What is under way on a connection, not what is held: node:http2 asks for more as soon as a stream has its part.
    session.setLocalWindowSize(connectionWindowBytes);
    forgetEndedStreams(session);
  });
  return {
    all: () => sessions,
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

export interface CountingParts {
  openCalls: OpenCalls;
  methods: ReadonlyMap<string, DescMethod | undefined>;
  refuse: CallRecorder["refuse"];
  /** Whether whoever calls is a caller, as nobody is authenticated. */
  everybody: boolean;
}

/** Counts the calls of each connection and of all, and what clients reset. Call when all else that looks at streams does. */
export function countStreams(server: Server, { openCalls, methods, refuse, everybody }: CountingParts): void {
  /** One function for all streams, as a closure a call costs more. */
  function ended(this: ServerHttp2Stream): void {
    const connection = connectionOf(this)!;
    connection.ended();
    openCalls.end(this);
    if (isResetByClient(this)) connection.wasReset();
    else if (!isEndedByClient(this)) connection.cutOff();
  }
  const countBody = countArriving((stream, bytes) => connectionOf(stream)?.received(bytes));

  interceptStreams(server, (stream, headers, rawHeaders, pass) => {
    const connection = stream.session && connectionOf(stream.session as ServerHttp2Session);
    if (connection === undefined) return stream.destroy(); // its session has gone meanwhile
    if (stream.closed) return connection.wasReset(); // nobody waits for its answer
    if (stream.session!.pendingSettingsAck && bytesOf(rawHeaders) > maxHeaderBytes) {
      connection.exceeded();
      stream.on("error", () => {}); // that it was reset
      return resetStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
    (stream as WithConnection)[connectionKey] = connection;
    connection.began();
    countBody(stream);
    if (everybody) connection.called();
    stream.on("close", ended);
    const method = methods.get(headers[":path"] as string);
    if (method?.methodKind !== "unary" || openCalls.begin(stream, connection.calls())) pass();
    else respondTrailersOnly(stream, refuse(method, overloaded()));
  });
}

/**
 * Bytes of headers as SETTINGS_MAX_HEADER_LIST_SIZE counts them, RFC 9113 §6.5.2. node:http2 holds a client to that setting once it has acknowledged
 * it. A client that never does could send 128 headers of 4 kB by a byte each.
 */
function bytesOf(rawHeaders: readonly string[]): number {
  const eachBytes = 32;
  return rawHeaders.reduce((sum, text) => sum + text.length, (rawHeaders.length / 2) * eachBytes);
}
