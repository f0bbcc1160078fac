/** Single calls by grpc-js, for whatever is not measured. */
import type * as grpc from "@grpc/grpc-js";
import { connect, deserialize, serialize } from "./wire.ts";

export interface Caller {
  /** Wire bytes to wire bytes. */
  call(path: string, request: Uint8Array): Promise<Buffer>;
  close(): void;
}

export function caller(port: number): Caller {
  const client = connect(port);
  return {
    call: (path, request) =>
      new Promise((resolve, reject) => {
        const answered = (error: grpc.ServiceError | null, answer?: Buffer) =>
          error ? reject(error) : resolve(answer!);
        client.makeUnaryRequest(path, serialize, deserialize, request, answered);
      }),
    close: () => client.close(),
  };
}
