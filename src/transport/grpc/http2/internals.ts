/**
 * What grpc-js and node:http2 keep private, and the service relies upon: every touch of it is in this file. grpc-js is pinned to one
 * version, and a test for each member fails when it, or Node's, changes (test/transport/grpc/http2/internals.test.ts).
 */
import type { Http2Server, Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Server as NetServer } from "node:net";
import { type Duplex, Readable } from "node:stream";
import type { Server, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { ForgettingMap } from "../../../runtime/compact-map.ts";
import { release } from "../../../runtime/detach.ts";
import type { Rate } from "../../../limits/token-bucket.ts";

/** Bytes before a message of gRPC: whether it is compressed, and its length. */
const headBytes = 5;

/** Bounds the headers of a request, for which grpc-js has no option. Call before `server`, which bounds streams by an option, is bound. */
export function limitHeaders(server: Server, maxBytes: number): void {
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { settings: { maxHeaderListSize?: number } };
  };
  commonServerOptions.settings.maxHeaderListSize = maxBytes;
}

/**
 * Keeps fields of a request whose value has blanks or tabs around it. nghttp2 leaves out a field that it finds invalid, for which node:http2 has
 * no event: a token would be gone without a trace. Call before `server` is bound.
 */
export function keepBlanks(server: Server): void {
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { strictFieldWhitespaceValidation?: boolean };
  };
  commonServerOptions.strictFieldWhitespaceValidation = false;
}

/** Calls `use` with each server of node:http2 that listens for one that is bound. */
export function eachServerOf(server: Server, use: (listening: NetServer) => void): void {
  for (const http2Server of http2ServersOf(server)) use(http2Server as unknown as NetServer);
}

/**
 * Has node:http2 end a connection whose client resets twice as many streams as it may: those of one read are all there before the first is counted
 * otherwise. Call before `server` is bound.
 */
export function limitResets(server: Server, { perSecond, burst }: Rate): void {
  const { commonServerOptions } = server as unknown as {
    commonServerOptions: { streamResetRate?: number; streamResetBurst?: number };
  };
  commonServerOptions.streamResetRate = 2 * perSecond;
  commonServerOptions.streamResetBurst = 2 * burst;
}

/** Calls `use` with each new connection of a server that is bound. */
export function eachSession(server: Server, use: (session: ServerHttp2Session) => void): void {
  for (const http2Server of http2ServersOf(server)) http2Server.on("session", use);
}

/** Closes a connection that names another protocol than HTTP/2, or none: node:http2 would answer it in HTTP/1.0 and keep it for 10 s. */
export function closeUnknownProtocols(server: Server): void {
  for (const http2Server of http2ServersOf(server)) {
    http2Server.on("unknownProtocol", (socket: Duplex) => void socket.destroy());
  }
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Calls `see` with each stream of a server that is bound, before grpc-js has it. */
export function beforeGrpc(server: Server, see: OnStream): void {
  for (const http2Server of http2ServersOf(server)) http2Server.prependListener("stream", see);
}

/** Calls `see` with each stream of a server that is bound, once grpc-js has it. */
export function afterGrpc(server: Server, see: OnStream): void {
  for (const http2Server of http2ServersOf(server)) http2Server.on("stream", see);
}

type See = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  pass: () => void,
) => void;

/** Has `see` have each stream of a server that is bound before whoever listens now. They get it when it calls `pass`, now or later. */
export function interceptStreams(server: Server, see: See): void {
  for (const http2Server of http2ServersOf(server)) {
    const listeners = http2Server.listeners("stream");
    http2Server.removeAllListeners("stream");
    http2Server.on("stream", (stream: ServerHttp2Stream, headers, flags, rawHeaders) => {
      see(stream, headers, rawHeaders as unknown as string[], () => {
        for (const listener of listeners) listener.call(http2Server, stream, headers, flags, rawHeaders);
      });
    });
  }
}

function http2ServersOf(server: Server): Iterable<Http2Server> {
  return (server as unknown as { http2Servers: ReadonlyMap<Http2Server, unknown> }).http2Servers.keys();
}

/** Has grpc-js not see a header, which it reads from the object that node:http2 made for all listeners. */
export function hideHeader(headers: IncomingHttpHeaders, name: "grpc-encoding" | "grpc-timeout"): void {
  delete headers[name];
}

export function http2StreamOf<In, Out>(
  call: ServerUnaryCall<In, Out> | ServerDuplexStream<In, Out> | ServerWritableStream<In, Out>,
): ServerHttp2Stream {
  return (call as unknown as { call: { stream: ServerHttp2Stream } }).call.stream;
}

/** Whether a message of gRPC is compressed. */
export function isCompressed(message: Uint8Array): boolean {
  return flagsOf(message) === 1;
}

/** The flags of a message, which lies behind its head in the same memory, as grpc-js and the intake of a stream hand it over. */
export function flagsOf(message: Uint8Array): number {
  return new Uint8Array(message.buffer, message.byteOffset - headBytes, 1)[0]!;
}

/** Has `take` decide of each message that grpc-js brings to the call. It may `pass` one on, and returns whether more may come. */
export function takeMessages(
  call: Pick<ServerDuplexStream<unknown, unknown>, "push">,
  take: (message: unknown, pass: (message: unknown) => boolean) => boolean,
): void {
  const { push } = call;
  const pass = (message: unknown) => push.call(call, message);
  call.push = (message: unknown) => take(message, pass);
}

/** Bytes that came, or the end of them, which may come twice. */
export type Arriving = Buffer | null;

/**
 * Has `take` decide of what node:http2 brings to the stream, before anyone can read it. It returns whether more may come; if not, node:http2
 * waits for `readOn`. Returns how to pass on what was taken. Not by "data": a stream that is held back goes on to get what its window has room
 * for. Call before anything has come.
 */
export function takeArriving(
  stream: ServerHttp2Stream,
  take: (chunk: Arriving) => boolean,
): (chunk: Arriving) => boolean {
  const { push } = stream;
  stream.push = take;
  return (chunk) => push.call(stream, chunk);
}

/** Calls `count` with the stream and the bytes of each chunk that node:http2 brings, or that whoever takes them passes on. Call before anyone takes them. */
export function countArriving(
  count: (stream: ServerHttp2Stream, bytes: number) => void,
): (stream: ServerHttp2Stream) => void {
  /** One function for all streams, as a closure a call costs more. */
  function push(this: Counted, chunk: Arriving): boolean {
    if (chunk !== null) count(this, chunk.length);
    // node:http2 ends what is read of a stream that it closes, too.
    else if (!this.closed) this[endedKey] = true;
    return Readable.prototype.push.call(this, chunk);
  }
  return (stream) => {
    stream.push = push;
  };
}

/** A property, as a set of streams would cost the collector more than a call may. */
const endedKey = Symbol("ended by the client");

type Counted = ServerHttp2Stream & { [endedKey]?: true };

/** True if the client of a stream whose arriving bytes are counted has sent all of its request. */
export function isEndedByClient(stream: Counted): boolean {
  return stream.endAfterHeaders || stream[endedKey] === true;
}

export interface HeldStream {
  /** What it has kept. */
  bytes(): number;
  /** Whether it keeps nothing any more, since it was let go or was too large. */
  isOver(): boolean;
  /** Resolves when `count` had no room for it. */
  overflowed: Promise<void>;
  /** Has `admit` hand the stream to whoever is to have it; they get what was kept. */
  release(admit: () => void): void;
  /** Forgets what was kept. Nobody will read the stream, which ends once it is closed: one that never sees its end stays open for ever. */
  drop(): void;
}

/** Decides of bytes that come on a stream which is held. */
export interface Holding {
  /** Told of all that comes. */
  arrived(bytes: number): void;
  /** Whether so many more may be kept. */
  keeps(bytes: number): boolean;
}

/** Keeps what comes on a stream that nobody reads yet. */
export function holdArriving(stream: ServerHttp2Stream, { arrived, keeps }: Holding): HeldStream {
  const kept: Arriving[] = [];
  const overflow = Promise.withResolvers<void>();
  let [bytes, over] = [0, false];
  const ignore = () => {}; // a caller that leaves meanwhile
  stream.on("error", ignore);
  const { push } = stream;
  const pass = takeArriving(stream, (chunk) => {
    if (chunk !== null) arrived(chunk.length);
    if (over) return chunk === null && pass(null);
    kept.push(chunk);
    if (chunk === null) return false;
    bytes += chunk.length;
    if (!keeps(chunk.length)) {
      over = true;
      kept.length = 0;
      overflow.resolve();
    }
    return false;
  });
  return {
    bytes: () => bytes,
    isOver: () => over,
    overflowed: overflow.promise,
    drop() {
      over = true;
      if (kept.splice(0).includes(null)) pass(null);
    },
    release(admit) {
      over = true;
      stream.push = push;
      admit();
      stream.off("error", ignore);
      for (const chunk of kept) stream.push(chunk);
      if (!kept.includes(null)) readOn(stream);
    },
  };
}

/** Has node:http2 bring more to a stream that was held back. */
export function readOn(stream: ServerHttp2Stream): void {
  stream._read(0);
}

type Write = (frame: Uint8Array, sent: (error?: Error | null) => void) => boolean;

/**
 * Gives the memory of each message back once it is sent: whoever writes to `stream` from now on gives its bytes away. grpc-js copies each
 * message behind a head and hands that to HTTP/2, which keeps it until it is sent. As garbage it lies outside the heap, and has the collector
 * go through all of the heap several times a second.
 */
export function releaseWritten(stream: ServerHttp2Stream): void {
  const write = stream.write as Write;
  const writeAndRelease: Write = (frame, sent) =>
    write.call(stream, frame, (error) => {
      // Of a stream that was torn down, a part may be on its way still.
      if (!error && !stream.destroyed) release(frame);
      sent(error);
    });
  stream.write = writeAndRelease as ServerHttp2Stream["write"];
}

interface SessionState {
  streams: Pick<ForgettingMap<ServerHttp2Stream>, "size" | "get" | "set" | "delete" | "forEach">;
}

/**
 * Has a session without streams forget each that ends. node:http2 keeps them in a Map and so, with all that belongs to their calls, for long
 * after their end. A session that is not made as in the pinned Node stays as it is.
 */
export function forgetEndedStreams(session: Http2Session): void {
  const state = stateOf(session);
  if (state?.streams.size === 0) state.streams = new ForgettingMap();
}

/** Calls `use` with each stream of a session that is open. */
export function eachStreamOf(session: Http2Session, use: (stream: ServerHttp2Stream) => void): void {
  stateOf(session)?.streams.forEach(use);
}

function stateOf(session: Http2Session): SessionState | undefined {
  const hidden = session as unknown as Record<symbol, Partial<SessionState> | undefined>;
  const values = Object.getOwnPropertySymbols(session).map((symbol) => hidden[symbol]);
  return values.find((value): value is SessionState => value?.streams !== undefined);
}
