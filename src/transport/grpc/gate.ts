/**
 * Before and behind grpc-js: a call that it would refuse with INTERNAL or in silence is refused here, by its headers; and whatever call ends
 * with an error that nobody recorded is counted and logged when its stream closes.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { type Server, status } from "@grpc/grpc-js";
import { invalidField, KmsError, type KmsErrorCode } from "../../errors.ts";
import { interceptStreams, hideHeader } from "./http2/internals.ts";
import { respondTrailersOnly } from "./http2/trailers-only.ts";
import type { CallRecorder } from "../call-recorder.ts";
import { grpcTimeoutMs, maxTimerMs } from "../timeouts.ts";

/** Streams of another protocol than gRPC's, on the same port. */
export interface OtherStreams {
  /** Whether a request is for one of them, by its path and media type. */
  has(headers: IncomingHttpHeaders): boolean;
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  refuse(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, error: KmsError): void;
}

export interface GateParts {
  refuse: CallRecorder["refuse"];
  others: OtherStreams;
  /** By the paths that are served. Those of health and reflection are none of ours. */
  methods: ReadonlyMap<string, DescMethod | undefined>;
}

const unsupportedMediaType = 415;

/** Whether the end of a stream is told to the recorder by its call. A set of streams would cost the collector more than a call may. */
const byCall = Symbol("recorded by its call");

type Marked = ServerHttp2Stream & { [byCall]?: boolean };

/** The call on the stream is recorded, or will be when it ends, however it does. */
export function recordedByCall(stream: ServerHttp2Stream): void {
  (stream as Marked)[byCall] = true;
}

/** The call is recorded as one that succeeded. Its deadline may still pass while its answer is written. */
export function succeeded(stream: ServerHttp2Stream): void {
  (stream as Marked)[byCall] = false;
}

/** Call when `server` is bound, and all else that looks at its streams does. */
export function gate(server: Server, { refuse, methods, others }: GateParts): void {
  interceptStreams(server, (stream, headers, _rawHeaders, pass) => {
    if (others.has(headers)) return others.serve(stream, headers);
    const method = methods.get(headers[":path"] as string);
    const isGrpc = headers["content-type"]?.startsWith("application/grpc") === true;
    try {
      check(headers, isGrpc, methods);
    } catch (error) {
      respondTrailersOnly(stream, refuse(method, error), isGrpc ? constants.HTTP_STATUS_OK : unsupportedMediaType);
      stream.resume();
      return;
    }
    stream.once("close", () => {
      if ((stream as Marked)[byCall] !== true) recordEnd(stream, (error) => refuse(method, error));
    });
    pass();
  });
}

function check(headers: IncomingHttpHeaders, isGrpc: boolean, methods: GateParts["methods"]): void {
  if (!isGrpc) throw invalidField("content-type", "must begin with application/grpc");
  if (headers["content-type"]!.startsWith("application/grpc-web")) {
    throw new KmsError("UNIMPLEMENTED", "gRPC-Web is served by HTTP/1.1, on the other port");
  }
  if (!methods.has(headers[":path"] as string)) throw new KmsError("UNIMPLEMENTED", "there is no such rpc");
  const timeout = headers["grpc-timeout"];
  // As a number of 32 bits the longest are negative to grpc-js.
  if (timeout !== undefined && grpcTimeoutMs(timeout.toString())! > maxTimerMs) hideHeader(headers, "grpc-timeout");
}

/** Our codes by gRPC's, of what grpc-js, health and reflection answer by themselves. Any other is a bug. */
const codes: Readonly<Record<number, KmsErrorCode>> = {
  [status.CANCELLED]: "CANCELLED",
  [status.INVALID_ARGUMENT]: "INVALID_ARGUMENT",
  [status.DEADLINE_EXCEEDED]: "DEADLINE_EXCEEDED",
  [status.NOT_FOUND]: "NOT_FOUND",
  [status.RESOURCE_EXHAUSTED]: "MESSAGE_TOO_LARGE",
  [status.UNIMPLEMENTED]: "UNIMPLEMENTED",
};

function recordEnd({ sentHeaders, sentTrailers, rstCode }: ServerHttp2Stream, record: (error: KmsError) => void): void {
  const said = sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
  if (said === undefined) {
    if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) record(new KmsError("OVERLOADED", "the call was reset"));
    return;
  }
  if (Number(said) === status.OK) return;
  record(new KmsError(codes[Number(said)] ?? "INTERNAL", `gRPC refused the call, with its status ${said}`));
}
