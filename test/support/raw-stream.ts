/** SignSpans over bare HTTP/2: a client that may break every rule of gRPC, and does nothing by itself. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";

export interface RawStream {
  session: ClientHttp2Session;
  stream: ClientHttp2Stream;
  /** Of gRPC. Nothing is read before it is asked for. */
  status(): Promise<number>;
  /** The code of HTTP/2 by which the other side reset the stream. */
  reset: Promise<number>;
}

const headBytes = 5;

/** A message of gRPC. `announced` is the length that its head gives. */
export function frame(message: Uint8Array, announced = message.length, compressed = 0): Buffer {
  const head = Buffer.alloc(headBytes);
  head[0] = compressed;
  head.writeUInt32BE(announced, 1);
  return Buffer.concat([head, message]);
}

export function openRaw(target: string, headers: Record<string, string> = {}): RawStream {
  const session = connect(`http://${target}`).on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": `/${KmsService.typeName}/SignSpans`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.on("error", () => {});
  const status = new Promise<number>((resolve) => {
    const look = (given: Record<string, unknown>) => {
      if (given["grpc-status"] !== undefined) resolve(Number(given["grpc-status"]));
    };
    stream.once("response", look);
    stream.once("trailers", look);
  });
  const reset = new Promise<number>((resolve) => stream.once("close", () => resolve(stream.rstCode ?? 0)));
  return {
    session,
    stream,
    reset,
    status() {
      stream.resume();
      return status;
    },
  };
}
