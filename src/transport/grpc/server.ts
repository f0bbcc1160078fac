/** gRPC by @grpc/grpc-js: the services of the API, health and reflection, bound to a port; and an orderly end. */
import { setDefaultHighWaterMark } from "node:stream";
import type { DescMethod } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { Time } from "../../runtime/time.ts";
import type { Door, Open } from "../authenticate.ts";
import type { Calls } from "../pipeline.ts";
import { binaryForm } from "../codecs.ts";
import { maxHeaderBytes, maxMessageBytes } from "../limits.ts";
import { authority, type Binding, type Listening, listening } from "../listening.ts";
import { rpcPath, type Served, unaryMethods } from "../services.ts";
import { connectStreams } from "../connect/streams.ts";
import { tlsCredentials } from "./tls-credentials.ts";
import { callerOf, guardStreams } from "./door.ts";
import { type EndlessStreams, endlessStreams } from "./endless-streams.ts";
import { readInCall } from "./foreign-services.ts";
import { gate } from "./gate.ts";
import type { GrpcHealth } from "./health.ts";
import { hideCompression } from "./http2/compression.ts";
import { closeUnknownProtocols, keepBlanks, limitHeaders, limitResets } from "./http2/internals.ts";
import { boundArriving } from "./http2/receive-bound.ts";
import { createUnread } from "./http2/send-bound.ts";
import type { RoomLimits } from "./http2/stream-room.ts";
import { createOpenCalls, type OpenCallLimits } from "./open-calls.ts";
import { reflectionService } from "./reflection.ts";
import { createGather } from "./run-after-parse.ts";
import { countStreams, type Sessions, watchSessions } from "./sessions.ts";
import { hasIntake } from "./stream/intake.ts";
import { createStreams, type Streams, type StreamTimes } from "./stream/streams.ts";
import { type GrpcStream, grpcWire } from "./stream/wire.ts";
import { unaryCarrier, unaryHandler } from "./unary.ts";

export const maxConcurrentStreams = 100;

export interface GrpcSettings extends Binding {
  /** Undefined where nobody is authenticated. */
  door: Door | undefined;
  health: GrpcHealth;
  /** Bounds on requests that are not whole yet. The default is for production, another for a test. */
  arriving?: RoomLimits;
  /** Bounds on answers that are not read; the default likewise. */
  unread?: RoomLimits;
  /** Bound on unary calls that are open; the default likewise. */
  openCalls?: OpenCallLimits;
  /** Times of streams; the default likewise. */
  streamTimes?: StreamTimes;
}

/** Serves the calls by gRPC. Rejects if the address cannot be bound; nothing is left open then. */
export async function listenGrpc(calls: Calls, settings: GrpcSettings): Promise<Listening> {
  const { door, time } = settings;
  // Or grpc-js holds 16 messages a direction and stream: 1.8 GB for 64 unread streams of 1 MB.
  setDefaultHighWaterMark(true, 1);
  const server = new grpc.Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.max_concurrent_streams": maxConcurrentStreams,
    // It would keep count of every call for nobody: its service is not served.
    "grpc.enable_channelz": 0,
  });
  limitHeaders(server, maxHeaderBytes);
  limitResets(server, settings.connections.resetsOfOne);
  keepBlanks(server);
  const streams = createStreams(calls, {
    messageBytes: maxMessageBytes,
    callerOf: callerOf(settings),
    time,
    times: settings.streamTimes,
  });
  const methods = addServices(server, calls, streams, settings);
  const endless = addForeignServices(server, calls.services, { methods, health: settings.health });
  const port = await bind(server, settings);
  closeUnknownProtocols(server);
  const sessions = watchSessions(server, settings.connections);
  hideCompression(server);
  boundArriving(server, { isBounded: hasIntake, limits: settings.arriving, time });
  const others = connectStreams(calls, streams, time);
  gate(server, { refuse: calls.refuse, methods, others });
  guardStreams(server, { door, openPaths: openPaths(methods), methods, refuse: calls.refuseStranger, others, time });
  const openCalls = createOpenCalls(time, sessions.all, settings.openCalls);
  countStreams(server, { openCalls, methods, refuse: calls.refuse, everybody: door === undefined });
  return listening(settings, port, (graceMs) => close({ server, sessions, streams, endless, time }, graceMs));
}

function bind(server: grpc.Server, { host, port, tls, requestCert }: Binding): Promise<number> {
  const credentials = tls ? tlsCredentials(tls, requestCert) : grpc.ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync(authority(host, port), credentials, (error, bound) => {
      if (error === null) return resolve(bound);
      server.forceShutdown();
      reject(error);
    });
  });
}

/** Methods that are served, by path. Those of health and reflection are none of ours. */
type Paths = Map<string, DescMethod | undefined>;

function addServices(server: grpc.Server, calls: Calls, streams: Streams, settings: GrpcSettings): Paths {
  const { time } = settings;
  const carrier = unaryCarrier(createUnread(time, settings.unread), callerOf(settings));
  const gather = createGather(time);
  const paths: Paths = new Map();
  for (const served of calls.services) {
    const implementation: grpc.UntypedServiceImplementation = {};
    for (const method of unaryMethods(served)) {
      const { rpc } = method;
      const answer = calls.unary(method, binaryForm(rpc, method.codec), carrier);
      implementation[rpc.localName] = unaryHandler(rpc, answer, { gather, time, refuse: calls.refuse });
    }
    for (const [name, handler] of Object.entries(served.streams ?? {})) {
      const serve = streams.serve(served.service.method[name]!, handler);
      implementation[name] = (call: GrpcStream) => serve(grpcWire(call));
    }
    for (const rpc of served.service.methods) paths.set(`/${rpcPath(rpc)}`, rpc);
    server.addService(definitionOf(served), implementation);
  }
  return paths;
}

function definitionOf({ service }: Served): grpc.ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, passThrough(method)]));
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

/** Health and reflection. */
function addForeignServices(
  server: grpc.Server,
  served: readonly Served[],
  { methods, health }: { methods: Paths; health: GrpcHealth },
): EndlessStreams {
  const endless = endlessStreams({
    addService(service, implementation) {
      for (const { path } of Object.values(service)) methods.set(path, undefined);
      server.addService(...readInCall(service, implementation));
    },
  });
  const services = served.map(({ service }) => service);
  health.addToServer(
    endless,
    services.map(({ typeName }) => typeName),
  );
  reflectionService(services).addToServer(endless as unknown as grpc.Server);
  return endless;
}

/** Health and reflection, by their paths. */
function openPaths(methods: Paths): Map<string, Open> {
  const paths = new Map<string, Open>();
  for (const [path, method] of methods) {
    if (method === undefined) paths.set(path, path.startsWith("/grpc.health.") ? "health" : "reflection");
  }
  return paths;
}

const pollMs = 20;
/** The last bytes get this long to leave, and a peer this long to close its side. One that is gone never does. */
const flushMs = 250;

interface Bound {
  server: grpc.Server;
  sessions: Sessions;
  streams: Streams;
  endless: EndlessStreams;
  time: Time;
}

async function close({ server, sessions, streams, endless, time }: Bound, graceMs: number): Promise<void> {
  const closed = new AbortController();
  server.tryShutdown(() => closed.abort());
  const pause = (ms: number) => time.sleep(ms, { signal: closed.signal }).catch(() => {}); // until all is closed, at most
  endless.end();
  streams.drain();
  const endMs = time.monotonicMs() + graceMs;
  while (sessions.haveCalls() && time.monotonicMs() < endMs) {
    await pause(pollMs);
    if (closed.signal.aborted) return;
  }
  if (!sessions.haveCalls()) await pause(flushMs);
  if (closed.signal.aborted) return;
  server.forceShutdown();
  sessions.destroy();
}
