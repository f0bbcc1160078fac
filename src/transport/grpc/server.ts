/**
 * gRPC by @grpc/grpc-js: the services of the API, health and reflection. Bytes pass through grpc-js as they are and are decoded inside
 * the call, so that what does not parse is INVALID_ARGUMENT (grpc-js itself would say INTERNAL).
 */
import type { ServerHttp2Session } from "node:http2";
import { setDefaultHighWaterMark } from "node:stream";
import { setTimeout } from "node:timers/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { KmsError } from "../../errors.ts";
import { type Answer, andThen } from "../../call/maybe-promise.ts";
import type { Caller } from "../../call/context.ts";
import { boundArriving } from "./http2/receive-bound.ts";
import type { Budget } from "../budget.ts";
import { endlessStreams } from "./endless-streams.ts";
import { readInCall } from "./foreign-services.ts";
import { createGather, type Gather } from "./run-after-parse.ts";
import { grpcContext, whyCancelled } from "../call-context.ts";
import { gate, recordedByCall, succeeded } from "./gate.ts";
import type { GrpcHealth } from "./health.ts";
import { eachSession, forgetEndedStreams, http2StreamOf, isCompressed, limitHeaders } from "./http2/internals.ts";
import { hideCompression, mayBeCompressed } from "./http2/compression.ts";
import { decompress } from "../decompress.ts";
import { maxHeaderBytes, maxMessageBytes, tooLarge } from "../limits.ts";
import { type BytesHandler, binaryHandler } from "../method-handlers.ts";
import { reflectionService } from "./reflection.ts";
import { rpcPath, type Served } from "../services.ts";
import { toGrpcStatus, toKmsError } from "../error-status.ts";
import type { RoomLimits } from "./http2/stream-room.ts";
import { hasIntake } from "./stream/intake.ts";
import { createStreams, type Streams, type StreamTimes } from "./stream/streams.ts";
import type { CallRecorder } from "../call-recorder.ts";
import { createUnread, type HoldUnread } from "./http2/send-bound.ts";

export const maxConcurrentStreams = 100;

export interface GrpcParts {
  services: readonly Served[];
  recorder: CallRecorder;
  budget: Budget;
  caller: Caller;
  health: GrpcHealth;
  /** Of requests that are not whole yet; the default is for production, another for a test. */
  arriving?: RoomLimits;
  /** Likewise, of answers that are not read. */
  unread?: RoomLimits;
  /** Likewise. */
  streamTimes?: StreamTimes;
}

export interface GrpcServer {
  /** Binds `host:port` and resolves with the port, which the system chooses for 0. */
  listen(address: string, credentials: grpc.ServerCredentials): Promise<number>;
  /** Takes no new call and ends when those that run are answered, at the latest after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function createGrpcServer(parts: GrpcParts): GrpcServer {
  // Or grpc-js holds 16 messages a direction and stream: 1.8 GB for 64 unread streams of 1 MB.
  setDefaultHighWaterMark(true, 1);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.max_concurrent_streams": maxConcurrentStreams,
    // It would keep count of every call for nobody: its service is not served.
    "grpc.enable_channelz": 0,
  });
  const sessions = new Set<ServerHttp2Session>();
  limitHeaders(server, maxHeaderBytes);
  const streams = createStreams({ ...parts, messageBytes: maxMessageBytes, times: parts.streamTimes });
  const holdUnread = createUnread(parts.unread);
  const serving = { ...parts, streams, holdUnread, gather: createGather() };
  for (const served of parts.services) addService(server, served, serving);
  const methods = new Map<string, DescMethod | undefined>(
    parts.services.flatMap(({ service }) => service.methods.map((method) => [`/${rpcPath(method)}`, method])),
  );
  const endless = endlessStreams({
    addService(service, implementation) {
      for (const { path } of Object.values(service)) methods.set(path, undefined);
      server.addService(...readInCall(service, implementation));
    },
  });
  const services = parts.services.map(({ service }) => service);
  parts.health.addToServer(
    endless,
    services.map(({ typeName }) => typeName),
  );
  reflectionService(services).addToServer(endless as unknown as grpc.Server);
  return {
    listen: (address, credentials) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error, port) => {
          if (error) return reject(error);
          prepareSessions(server, sessions);
          hideCompression(server);
          boundArriving(server, hasIntake, parts.arriving);
          gate(server, { recorder: parts.recorder, methods });
          resolve(port);
        });
      }),
    async close(graceMs) {
      const closed = new Promise<"closed">((resolve) => server.tryShutdown(() => resolve("closed")));
      endless.end();
      streams.drain();
      const endMs = performance.now() + graceMs;
      while (hasCalls(sessions) && performance.now() < endMs) {
        if ((await Promise.race([closed, setTimeout(pollMs, "open")])) === "closed") return;
      }
      if (hasCalls(sessions) || (await Promise.race([closed, setTimeout(flushMs, "open")])) === "open") {
        server.forceShutdown();
        for (const session of sessions) session.destroy();
      }
    },
  };
}

const pollMs = 20;
/** The last bytes get this long to leave, and a peer this long to close its side. One that is gone never does. */
const flushMs = 250;

/**
 * Whether calls are open, from the first byte of the request to the last of the answer. grpc-js does not tell; a session that is shutting
 * down is destroyed once it has no call left.
 */
function hasCalls(sessions: ReadonlySet<ServerHttp2Session>): boolean {
  return [...sessions].some(({ destroyed }) => !destroyed);
}

/** Of all streams of a connection: with the 64 KiB of HTTP/2 they would wait for each other's round trips. Each has 64 KiB of its own. */
const connectionWindowBytes = 1024 * 1024;

/** `sessions` has those that are open. */
function prepareSessions(server: grpc.Server, sessions: Set<ServerHttp2Session>): void {
  eachSession(server, (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    // What is under way on a connection, not what is held: node:http2 asks for more as soon as a stream has its part.
    session.setLocalWindowSize(connectionWindowBytes);
    forgetEndedStreams(session);
  });
}

interface ServingParts extends GrpcParts {
  streams: Streams;
  holdUnread: HoldUnread;
  gather: Gather;
}

function addService(server: grpc.Server, served: Served, parts: ServingParts): void {
  const definition: Record<string, grpc.MethodDefinition<Buffer, Uint8Array>> = {};
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const method of served.service.methods) {
    definition[method.localName] = passThrough(method);
    const stream = served.streams?.[method.localName];
    if (method.methodKind === "unary") {
      implementation[method.localName] = unary(method, binaryHandler(served, method), parts);
    } else if (stream !== undefined) implementation[method.localName] = parts.streams.serve(method, stream);
  }
  server.addService(definition, implementation);
}

function passThrough(method: DescMethod): grpc.MethodDefinition<Buffer, Uint8Array> {
  const streaming = method.methodKind === "bidi_streaming";
  return {
    path: `/${rpcPath(method)}`,
    requestStream: streaming,
    responseStream: streaming,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    responseDeserialize: (bytes) => bytes,
  };
}

function unary(
  method: DescMethod,
  handle: BytesHandler,
  { recorder, budget, caller, holdUnread, gather }: ServingParts,
) {
  return (call: grpc.ServerUnaryCall<Buffer, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>): void => {
    const header = (key: string) => call.metadata.get(key)[0]?.toString();
    const context = grpcContext(call, caller);
    const fail = (error: unknown) => callback(toGrpcStatus(toKmsError(error)));
    const give = (bytes: Uint8Array) => {
      succeeded(http2StreamOf(call));
      callback(null, bytes);
    };
    const answerTo = (request: Uint8Array) =>
      andThen(handle(request, context), (bytes) => {
        if (isOver(call)) throw whyCancelled(call);
        if (bytes.length > maxMessageBytes) throw tooLarge(maxMessageBytes);
        holdUnread(http2StreamOf(call), bytes.length);
        return bytes;
      });
    recordedByCall(http2StreamOf(call));
    gather(call.request.length, () => {
      if (isOver(call)) return fail(recorder.refuse(method, whyCancelled(call)));
      try {
        const answer = recorder.run(method, header, () => {
          const work = budget.hold(call.request.length, (grow) => andThen(wholeRequest(call, grow), answerTo));
          return work instanceof Promise ? work.catch((error) => failLate(call, error)) : work;
        });
        if (answer instanceof Promise) answer.then(give, fail);
        else give(answer);
      } catch (error) {
        fail(error);
      }
    });
  };
}

/** Whether grpc-js has told the caller that its deadline passed, or the caller is gone. It says nothing of a call that was not whole then. */
function isOver(call: grpc.ServerUnaryCall<Buffer, Uint8Array>): boolean {
  return call.cancelled || http2StreamOf(call).headersSent;
}

/** What was told to the caller is what is recorded, whatever became of the call later. A bug stays one. */
function failLate(call: grpc.ServerUnaryCall<Buffer, Uint8Array>, error: unknown): never {
  throw error instanceof KmsError && isOver(call) ? whyCancelled(call) : error;
}

function wholeRequest(
  call: grpc.ServerUnaryCall<Buffer, Uint8Array>,
  grow: (more: number) => void,
): Answer<Uint8Array> {
  const { request } = call;
  if (!mayBeCompressed(http2StreamOf(call)) || !isCompressed(request)) return request;
  return decompress(request, maxMessageBytes, () => !call.cancelled).then((whole) => {
    grow(whole.length);
    return whole;
  });
}
