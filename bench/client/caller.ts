/** Single calls by grpc-js, for whatever is not measured by its CPU. */
import * as grpc from "@grpc/grpc-js";
import { connect, deserialize, serialize } from "./wire.ts";

export interface Caller {
  /** Wire bytes to wire bytes. */
  call(path: string, request: Uint8Array): Promise<Buffer>;
  close(): void;
}

/** On a connection of its own, without TLS. `token` is sent with each call. */
export function caller(port: number, token?: string): Caller {
  const client = connect(port);
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return {
    call: (path, request) =>
      new Promise((resolve, reject) => {
        const answered = (error: grpc.ServiceError | null, answer?: Buffer) =>
          error ? reject(error) : resolve(answer!);
        client.makeUnaryRequest(path, serialize, deserialize, request, metadata, answered);
      }),
    close: () => client.close(),
  };
}
