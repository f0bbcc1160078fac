/** gRPC by `@grpc/grpc-js` as a transport of Connect's clients, so that calls and errors are the same over both. */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { authorization, type TokenSource } from "../token.ts";
import { callError, headersOf } from "./grpc-error.ts";

/** A channel, and what is shown on it. */
export interface GrpcChannel {
  readonly client: grpc.Client;
  /** Begins the URL of each call, as interceptors see it. */
  readonly baseUrl: string;
  /** Deadline of unary calls that have none of their own, in milliseconds. */
  readonly timeoutMs: number;
  /** Aborts when the channel is closed: grpc-js itself would let calls wait that have no connection yet. */
  readonly closed: AbortSignal;
  /** The metadata of a call: its headers, and a token that is asked for now. Rejects where the channel is closed. */
  metadata(headers?: ConstructorParameters<typeof Headers>[0]): Promise<grpc.Metadata>;
}

export function grpcChannel(
  client: grpc.Client,
  options: Pick<GrpcChannel, "baseUrl" | "timeoutMs" | "closed"> & { token: TokenSource | undefined },
): GrpcChannel {
  const { baseUrl, timeoutMs, closed, token } = options;
  return {
    client,
    baseUrl,
    timeoutMs,
    closed,
    async metadata(headers) {
      const metadata = new grpc.Metadata();
      for (const [name, value] of new Headers(headers))
        metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
      if (token !== undefined) metadata.set("authorization", await authorization(token));
      if (closed.aborted) throw new ConnectError("the client is closed", Code.Canceled);
      return metadata;
    },
  };
}

/** The first of `interceptors` is the outermost, as in Connect's own transports. */
export function grpcTransport(channel: GrpcChannel, interceptors: readonly Interceptor[] = []): Transport {
  return { unary: unaryOver(channel, interceptors), stream: streamOver(channel, interceptors) };
}

function unaryOver(channel: GrpcChannel, interceptors: readonly Interceptor[]): Transport["unary"] {
  return async <I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    headers: HeadersInit | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> => {
    const deadline = deadlineAfter(timeoutMs ?? channel.timeoutMs);
    const request: UnaryRequest<I, O> = {
      stream: false,
      method,
      message: create(method.input, input),
      ...requestOf(channel, method, { signal, headers, contextValues }),
    };
    const call = around(interceptors, (given: UnaryRequest<I, O>) => callUnary(channel, given, deadline));
    return call(request);
  };
}

function streamOver(channel: GrpcChannel, interceptors: readonly Interceptor[]): Transport["stream"] {
  return async <I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    headers: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> => {
    const deadline = deadlineAfter(timeoutMs);
    const request: StreamRequest<I, O> = {
      stream: true,
      method,
      message: created(method.input, input),
      ...requestOf(channel, method, { signal, headers, contextValues }),
    };
    const call = around(interceptors, (given: StreamRequest<I, O>) => callStream(channel, given, deadline));
    return call(request);
  };
}

interface Around {
  signal: AbortSignal | undefined;
  headers: HeadersInit | undefined;
  contextValues: ContextValues | undefined;
}

function requestOf(channel: GrpcChannel, method: DescMethod, { signal, headers, contextValues }: Around) {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: `${channel.baseUrl}${pathOf(method)}`,
    header: new Headers(headers),
    signal: signal ?? new AbortController().signal,
    contextValues: contextValues ?? createContextValues(),
  };
}

/** An interceptor takes requests of both forms, and gives the response of the request's form. */
function around<Call>(interceptors: readonly Interceptor[], call: Call): Call {
  return interceptors.reduceRight((next, intercept) => intercept(next), call as ReturnType<Interceptor>) as Call;
}

async function* created<I extends DescMessage>(schema: I, input: AsyncIterable<MessageInitShape<I>>) {
  for await (const each of input) yield create(schema, each);
}

const passedThrough = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes fields are then no Buffers either, as over every other transport. */
const asUint8Array = (bytes: Buffer) => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

interface Deadline {
  /** Milliseconds since 1970. */
  deadline?: number;
}

/** None after 0 milliseconds or fewer, as Connect's own transports have it. */
function deadlineAfter(timeoutMs: number | undefined): Deadline {
  return timeoutMs === undefined || timeoutMs <= 0 ? {} : { deadline: Date.now() + timeoutMs };
}

async function callUnary<I extends DescMessage, O extends DescMessage>(
  channel: GrpcChannel,
  { service, method, header, message, signal }: UnaryRequest<I, O>,
  deadline: Deadline,
): Promise<UnaryResponse<I, O>> {
  const metadata = await channel.metadata(header);
  if (signal.aborted) throw abortedBy(signal);
  return new Promise((resolve, reject) => {
    let header = new Headers();
    let trailer = new Headers();
    const call = channel.client.makeUnaryRequest(
      pathOf(method),
      passedThrough,
      (bytes) => fromBinary(method.output, asUint8Array(bytes)),
      toBinary(method.input, message),
      metadata,
      deadline,
      (error, message) => {
        signal.removeEventListener("abort", cancel);
        if (error) reject(signal.aborted ? abortedBy(signal) : callError(error));
        else resolve({ stream: false, service, method, header, trailer, message: message as MessageShape<O> });
      },
    );
    const cancel = () => call.cancel();
    call.on("metadata", (metadata) => {
      header = headersOf(metadata);
    });
    call.on("status", ({ metadata }) => {
      trailer = headersOf(metadata);
    });
    signal.addEventListener("abort", cancel, { once: true });
  });
}

/** Without a deadline unless it is given. What is sent heeds the flow control of the stream. */
async function callStream<I extends DescMessage, O extends DescMessage>(
  channel: GrpcChannel,
  { service, method, header, message: input, signal }: StreamRequest<I, O>,
  deadline: Deadline,
): Promise<StreamResponse<I, O>> {
  const metadata = await channel.metadata(header);
  if (signal.aborted) throw abortedBy(signal);
  const call = channel.client.makeBidiStreamRequest<Uint8Array, MessageShape<O>>(
    pathOf(method),
    passedThrough,
    (bytes) => fromBinary(method.output, asUint8Array(bytes)),
    metadata,
    deadline,
  );
  const cancel = () => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  const trailer = new Headers();
  call.on("status", ({ metadata }) => {
    for (const [name, value] of headersOf(metadata)) trailer.append(name, value);
  });
  let sendError: unknown;
  const send = async () => {
    try {
      for await (const each of input) {
        if (call.destroyed) return;
        const isTaken = call.write(toBinary(method.input, each));
        if (!isTaken) await drained(call);
      }
      call.end();
    } catch (error) {
      sendError = error;
      call.cancel();
    }
  };
  void send();
  const message = (async function* () {
    try {
      yield* call as AsyncIterable<MessageShape<O>>;
    } catch (error) {
      throw sendError ?? (signal.aborted ? abortedBy(signal) : callError(error));
    } finally {
      signal.removeEventListener("abort", cancel);
      call.cancel();
    }
  })();
  return { stream: true, service, method, header: new Headers(), trailer, message };
}

/** Resolves, too, where the call has ended. */
function drained(call: grpc.ClientDuplexStream<Uint8Array, unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error", "status"]) call.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error", "status"]) call.on(event, done);
  });
}

function abortedBy(signal: AbortSignal): ConnectError {
  return new ConnectError("the caller gave up", Code.Canceled, undefined, undefined, signal.reason);
}
