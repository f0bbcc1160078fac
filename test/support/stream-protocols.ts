/** SignSpans by each protocol that has streams both ways, with a client that reads only when it is asked to, and a bare one. */
import { constants } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import * as grpc from "@grpc/grpc-js";
import { SignSpansResponseSchema, type SignSpansResponse } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import type { StreamHandler } from "../../src/call/stream.ts";
import { destroySession } from "./destroy-session.ts";
import { fromNow } from "./from-now.ts";
import { len } from "./otlp-wire.ts";
import { frame, openRaw, type RawStream } from "./raw-stream.ts";
import type { CallFailure } from "./running-service.ts";
import { encodeBatch, openStream, type SpanClient } from "./stream-client.ts";

export interface StreamProtocol {
  name: string;
  open(target: string, options?: { timeoutMs?: number; compressed?: boolean }): SpanClient;
  raw(target: string, options?: { timeoutMs?: number; encoding?: string }): RawStream;
  /** Has the responses of a handler, which may be any bytes, come as they are to a client of {@link open}. */
  carrying(handler: StreamHandler): StreamHandler;
}

const grpcStreams: StreamProtocol = {
  name: "gRPC",
  open(target, { timeoutMs, compressed = false } = {}) {
    const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };
    return openStream(target, timeoutMs === undefined ? {} : { deadline: fromNow(timeoutMs) }, compressed ? gzip : {});
  },
  raw: (target, { timeoutMs, encoding } = {}) =>
    openRaw(target, {
      ...(timeoutMs !== undefined && { "grpc-timeout": `${timeoutMs}m` }),
      ...(encoding && { "grpc-encoding": encoding }),
    }),
  carrying: (handler) => handler,
};

/** A field that no response has, and that the library hands on as it is. */
const carrier = 1000;

const connectStreams: StreamProtocol = {
  name: "Connect",
  open: (target, options) => openConnect(target, options),
  raw(target, options) {
    const raw = openRaw(target, connectHeaders(options));
    const end = Promise.withResolvers<number>();
    return {
      ...raw,
      async status() {
        for await (const { flags, message } of framesOf(raw)) if (flags & endFlag) end.resolve(codeIn(message));
        return end.promise;
      },
    };
  },
  carrying: (handler) => (context) => {
    const { take, ...rest } = handler(context);
    return {
      ...rest,
      async take(message) {
        const { bytes, messages } = await take(message);
        return { bytes, messages: carried(messages) };
      },
    };
  },
};

export const streamProtocols: readonly StreamProtocol[] = [grpcStreams, connectStreams];

async function* carried(messages: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  for await (const each of messages) yield len(carrier, each);
}

const endFlag = 2;

function connectHeaders({ timeoutMs, encoding }: { timeoutMs?: number; encoding?: string } = {}) {
  return {
    "content-type": "application/connect+proto",
    ...(timeoutMs !== undefined && { "connect-timeout-ms": String(timeoutMs) }),
    ...(encoding && { "connect-content-encoding": encoding }),
  };
}

interface Frame {
  flags: number;
  message: Buffer;
}

async function* framesOf({ stream }: Pick<RawStream, "stream">): AsyncGenerator<Frame> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
      const end = 5 + bytes.readUInt32BE(1);
      const message = bytes.subarray(5, end);
      yield { flags: bytes[0]!, message: bytes[0]! & 1 ? gunzipSync(message) : message };
      bytes = bytes.subarray(end);
    }
  }
}

function codeIn(end: Buffer): number {
  return endOf(end)?.code ?? grpc.status.OK;
}

function endOf(end: Buffer): CallFailure | undefined {
  const { error } = endStreamFromJson(end);
  if (error === undefined) return undefined;
  return {
    code: error.code as number as grpc.status,
    message: error.rawMessage,
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
    retry: error.findDetails(RetryInfoSchema).length > 0,
  };
}

function openConnect(
  target: string,
  { timeoutMs, compressed = false }: { timeoutMs?: number; compressed?: boolean } = {},
): SpanClient {
  const encoding = compressed ? { encoding: "gzip" } : {};
  const raw = openRaw(target, connectHeaders({ ...(timeoutMs !== undefined && { timeoutMs }), ...encoding }));
  const frames = framesOf(raw);
  let failed: CallFailure | undefined;

  /** Undefined at the end. */
  async function nextBytes(): Promise<Uint8Array | undefined> {
    const { value, done } = await frames.next();
    if (done) {
      if (raw.stream.rstCode === constants.NGHTTP2_CANCEL) failed ??= { ...unsaid, code: grpc.status.CANCELLED };
      return undefined;
    }
    if ((value.flags & endFlag) === 0) return value.message;
    failed = endOf(value.message);
    raw.stream.close();
    return undefined;
  }

  async function nextResponse(): Promise<SignSpansResponse | undefined> {
    const bytes = await nextBytes();
    if (bytes === undefined && failed) throw new Error(failed.message);
    return bytes && fromBinary(SignSpansResponseSchema, bytes);
  }

  return {
    send(batch) {
      const message = batch instanceof Uint8Array ? batch : encodeBatch(batch);
      const packed = compressed ? gzipSync(message) : message;
      return new Promise((resolve) => {
        raw.stream.write(frame(packed, packed.length, compressed ? 1 : 0), () => resolve());
      });
    },
    async next() {
      const bytes = await nextBytes();
      if (bytes === undefined) return undefined;
      const reader = new BinaryReader(bytes);
      reader.tag();
      return reader.bytes();
    },
    nextResponse,
    async rest() {
      const all: SignSpansResponse[] = [];
      for (let each = await nextResponse(); each !== undefined; each = await nextResponse()) all.push(each);
      return all;
    },
    halfClose: () => raw.stream.end(),
    cancel: () => raw.stream.close(constants.NGHTTP2_CANCEL),
    async failure() {
      while ((await nextBytes().catch(() => undefined)) !== undefined);
      if (!failed) throw new Error("expected the stream to fail, but it ended well");
      return failed;
    },
    close: () => void destroySession(raw.session),
  };
}

const unsaid = { message: "", fields: [], reason: undefined, retry: false };
