/** A client of SignSpans over @grpc/grpc-js that reads only when it is asked to. But before it is asked first, grpc-js reads without end. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import {
  SignSpansRequestSchema,
  type SignSpansResponse,
  SignSpansResponseSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type CallFailure, failureOf } from "./running-service.ts";
import type { Batch } from "./span-batches.ts";

export interface SpanClient {
  /** Resolves when it has left. */
  send(batch: Batch | Uint8Array): Promise<void>;
  /** Undefined after the last one. Rejects with why the stream failed. */
  next(): Promise<Uint8Array | undefined>;
  nextResponse(): Promise<SignSpansResponse | undefined>;
  /** All that are left. */
  rest(): Promise<SignSpansResponse[]>;
  /** Sends no more. */
  halfClose(): void;
  cancel(): void;
  /** Resolves when the stream has failed; rejects where it ends well. */
  failure(): Promise<CallFailure>;
  close(): void;
}

/** What a caller proves itself by. */
interface Shown {
  credentials?: grpc.ChannelCredentials;
  metadata?: grpc.Metadata;
}

const path = `/${KmsService.typeName}/SignSpans`;

export function encodeBatch(batch: Batch): Uint8Array {
  return toBinary(SignSpansRequestSchema, create(SignSpansRequestSchema, batch));
}

export function openStream(
  target: string,
  options: Partial<grpc.CallOptions> = {},
  channel: grpc.ChannelOptions = {},
  { credentials = grpc.credentials.createInsecure(), metadata = new grpc.Metadata() }: Shown = {},
): SpanClient {
  const client = new grpc.Client(target, credentials, {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
    ...channel,
  });
  const pass = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stream = client.makeBidiStreamRequest<Uint8Array, Uint8Array>(path, pass, pass, metadata, options);
  stream.pause();
  const ended = new Promise<void>((resolve, reject) => {
    stream.once("end", () => resolve());
    stream.once("error", reject);
  });
  ended.catch(() => {});

  async function next(): Promise<Uint8Array | undefined> {
    const message = new Promise<Uint8Array>((resolve) => {
      stream.once("data", (bytes) => {
        stream.pause();
        resolve(bytes);
      });
      stream.resume();
    });
    return Promise.race([message, ended.then(() => undefined)]);
  }

  async function nextResponse(): Promise<SignSpansResponse | undefined> {
    const bytes = await next();
    return bytes && fromBinary(SignSpansResponseSchema, bytes);
  }

  return {
    send: (batch) =>
      new Promise((resolve) => {
        stream.write(batch instanceof Uint8Array ? batch : encodeBatch(batch), () => resolve());
      }),
    next,
    nextResponse,
    async rest() {
      const all: SignSpansResponse[] = [];
      for (let each = await nextResponse(); each !== undefined; each = await nextResponse()) all.push(each);
      return all;
    },
    halfClose: () => stream.end(),
    cancel: () => stream.cancel(),
    async failure() {
      stream.resume();
      return failureOf(ended);
    },
    close() {
      stream.cancel();
      client.close();
    },
  };
}
