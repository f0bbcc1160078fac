/**
 * The door of gRPC: a stream that comes is kept from grpc-js, and unread, until its caller is known. Who is refused is answered by headers
 * alone, and nothing of the request is looked at.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import type { Caller } from "../../call/context.ts";
import { andThen, type MaybePromise } from "../../call/maybe-promise.ts";
import { rateLimited } from "../../errors.ts";
import { anyone, type Door, type Open, type Peering, shownBy, stranger } from "../authenticate.ts";
import { loopTurns } from "../../runtime/turns/loop.ts";
import type { Time, Timer } from "../../runtime/time.ts";
import type { CallRecorder } from "../call-recorder.ts";
import { toKmsError } from "../error-status.ts";
import { deadlinePassed } from "../call-context.ts";
import { connectTimeoutMs, grpcTimeoutMs } from "../timeouts.ts";
import { eachSession, holdArriving, interceptStreams } from "./http2/internals.ts";
import { resetStream } from "./http2/own-resets.ts";
import type { OtherStreams } from "./gate.ts";
import { connectionOf } from "./sessions.ts";
import { respondTrailersOnly } from "./http2/trailers-only.ts";

/** The caller of a stream that came through the door. */
export type CallerOf = (stream: ServerHttp2Stream) => Caller;

export interface GrpcDoorParts {
  /** Undefined where nobody is authenticated: grpc-js then has each stream as it comes. */
  door: Door | undefined;
  /** What is open, by path. */
  openPaths: ReadonlyMap<string, Open>;
  methods: ReadonlyMap<string, DescMethod | undefined>;
  refuse: CallRecorder["refuseStranger"];
  others: Pick<OtherStreams, "has" | "refuse">;
  time: Time;
}

/** A property, as a map of streams would cost the collector more than a call may. */
const callerKey = Symbol("caller");

type Admitted = ServerHttp2Stream & { [callerKey]?: Caller };

/** Bytes of streams whose callers are not known yet, all together. */
export const maxHeldBytes = 16 * 1024 * 1024;
/** A refusal needs this long to leave: a reset at once overtakes it, and clients then say INTERNAL. */
const lingerMs = 100;
const lookMs = 1_000;
/** Calls of strangers that are looked at in a turn of the event loop. */
export const strangersPerTurn = 2;

export function callerOf({ door }: Pick<GrpcDoorParts, "door">): CallerOf {
  if (door === undefined) return () => anyone;
  return (stream: Admitted) => {
    const caller = stream[callerKey];
    if (caller === undefined) throw new Error("a stream came past the door");
    return caller;
  };
}

/** Call when `server` is bound, and all else that looks at its streams does. */
export function guardStreams(server: Server, { door, openPaths, methods, refuse, others, time }: GrpcDoorParts): void {
  if (door === undefined) return;
  const connections = watchConnections(server, door, time);
  const inTurn = strangersInTurn();
  const hold = heldTogether();

  interceptStreams(server, (stream, headers, rawHeaders, pass) => {
    const arrivedMs = time.monotonicMs();
    const connection = connections.get(stream.session as ServerHttp2Session);
    if (connection === undefined) return stream.destroy(); // its session has gone meanwhile
    const authorization = authorizationIn(rawHeaders);
    const admit = (caller: Caller) => {
      (stream as Admitted)[callerKey] = caller;
      if (authorization.length > 0) delete headers.authorization; // grpc-js need not keep it
      pass();
    };
    const letIn = (caller: Caller) => {
      door.count(connection, authorization);
      admit(caller);
    };
    /** What nobody expects is no reason for the process to end. */
    const broken = (bug: unknown) => {
      refuse(undefined, toKmsError(bug), connection.about());
      resetStream(stream, constants.NGHTTP2_INTERNAL_ERROR);
    };
    const turnAway = (error: unknown) => {
      const [method, about] = [methods.get(headers[":path"] as string), shownBy(connection, authorization)];
      const refused = refuse(method, toKmsError(error), about, arrivedMs);
      door.count(connection, authorization, refused);
      connectionOf(stream)?.refused();
      if (!stream.destroyed && !stream.headersSent) {
        if (others.has(headers)) others.refuse(stream, headers, refused);
        else respondTrailersOnly(stream, refused);
        time.after(lingerMs, () => stream.close(constants.NGHTTP2_NO_ERROR));
      }
      if (authorization.length === 0 && connection.isRefused()) closeBehind(stream);
    };

    const open = openPaths.get(headers[":path"] as string);
    if (open !== undefined && door.isOpen(open)) {
      connectionOf(stream)?.answered();
      return admit(stranger);
    }
    const withinLimits = (caller: Caller) => {
      connectionOf(stream)?.called();
      caller.limits?.call(isStream(headers[":path"] as string, methods));
      return caller;
    };
    let entering: ReturnType<Door["enter"]>;
    try {
      entering = andThen(
        inTurn(stream, () => door.enter(connection, authorization)),
        withinLimits,
      );
    } catch (error) {
      try {
        return turnAway(error);
      } catch (bug) {
        return broken(bug);
      }
    }
    if (!(entering instanceof Promise)) return letIn(entering);

    const held = hold(stream);
    const dropAndTurnAway = (error: unknown) => {
      held.drop();
      turnAway(error);
    };
    held.overflowed.then(() => dropAndTurnAway(rateLimited())).catch(broken);
    const known = (caller: Caller) => {
      if (held.isOver()) return;
      if (!timeLeft(headers, time.monotonicMs() - arrivedMs)) return dropAndTurnAway(deadlinePassed());
      held.release(() => letIn(caller));
    };
    const entered = entering.then(
      (caller) => held.end(() => known(caller)),
      (error) => held.end(() => held.isOver() || dropAndTurnAway(error)),
    );
    entered.catch(broken);
  });
}

/** Gives what holds streams until their callers are known, all within one bound. `end` has a stream no longer counted, and goes on if it is there. */
function heldTogether() {
  let heldBytes = 0;
  return (stream: ServerHttp2Stream) => {
    const held = holdArriving(stream, {
      arrived: (bytes) => connectionOf(stream)?.carried(bytes),
      keeps(bytes) {
        heldBytes += bytes;
        return heldBytes <= maxHeldBytes;
      },
    });
    const end = (work: () => void) => {
      heldBytes -= held.bytes();
      if (!stream.destroyed) work();
    };
    return { ...held, end };
  };
}

/** Calls of strangers wait for their turn, and callers do not wait for them. */
function strangersInTurn() {
  const turns = loopTurns(strangersPerTurn);
  return (stream: ServerHttp2Stream, enter: () => MaybePromise<Caller>): MaybePromise<Caller> => {
    const peer = connectionOf(stream);
    if (peer === undefined || peer.hasCaller()) return enter();
    return new Promise<void>((resolve) => turns.take(peer.network, resolve)).then(enter);
  };
}

/** Whether a path has messages both ways. Of health and reflection, which have no method of ours, one rpc has not. */
function isStream(path: string, methods: GrpcDoorParts["methods"]): boolean {
  const method = methods.get(path);
  if (method !== undefined) return method.methodKind !== "unary";
  return methods.has(path) && !path.endsWith("/Check");
}

/**
 * The connections that are open. One whose certificate is accepted no more is closed, and so is an old one, or one whose certificate ends soon:
 * clients come back with another and lose no call.
 */
function watchConnections(server: Server, door: Door, time: Time): ReadonlyMap<ServerHttp2Session, Peering> {
  const connections = new Map<ServerHttp2Session, Peering>();
  const look = (session: ServerHttp2Session, connection: Peering) => {
    if (session.closed) return;
    if (connection.hasLost() || connection.closesMs() <= time.now().getTime()) session.close();
  };
  const lookAtAll = () => {
    for (const [session, connection] of connections) look(session, connection);
  };
  let looking: Timer | undefined;
  door.subscribe(lookAtAll);
  eachSession(server, (session) => {
    const connection = door.connect(session.socket);
    connections.set(session, connection);
    if (connection.isKnown()) connectionOf(session)?.called();
    looking ??= time.every(lookMs, lookAtAll);
    session.once("close", () => {
      connections.delete(session);
      if (connections.size > 0) return;
      time.clear(looking);
      looking = undefined;
    });
  });
  return connections;
}

/** All that a request has; the object of headers has the first of several. HTTP/2 has names in lower case alone (RFC 9113 §8.2.1). */
function authorizationIn(rawHeaders: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at] === "authorization") found.push(withoutBlanks(rawHeaders[at + 1]!));
  }
  return found;
}

/** The value without blanks and tabs around it (RFC 9110 §5.5), as node:http gives it: what is left is judged alike on both ports. */
function withoutBlanks(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && isBlank(value, from)) from += 1;
  while (from < to && isBlank(value, to - 1)) to -= 1;
  return value.slice(from, to);
}

function isBlank(value: string, at: number): boolean {
  const code = value.charCodeAt(at);
  return code === 0x20 || code === 0x09;
}

/** Writes what is left of the caller's time into the headers by which it gave it. False if nothing is. */
function timeLeft(headers: IncomingHttpHeaders, passedMs: number): boolean {
  for (const { name, read, write } of timeouts) {
    const given = headers[name]?.toString();
    let timeoutMs: number | undefined;
    try {
      timeoutMs = read(given);
    } catch {
      continue; // what serves the call refuses it
    }
    if (timeoutMs === undefined) continue;
    const leftMs = Math.floor(timeoutMs - passedMs);
    if (leftMs <= 0) return false;
    headers[name] = leftMs < 100_000_000 ? write(leftMs) : given!;
  }
  return true;
}

const timeouts = [
  { name: "grpc-timeout", read: grpcTimeoutMs, write: (ms: number) => `${ms}m` },
  { name: "connect-timeout-ms", read: connectTimeoutMs, write: String },
] as const;

/** A connection whose certificate is not accepted ends behind its first answer, so that a client that has another can come back with it. */
function closeBehind(stream: ServerHttp2Stream): void {
  const { session } = stream;
  if (session && !session.closed) session.close();
}
