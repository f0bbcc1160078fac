/** Load of a bounded number of unary calls over one connection, by a real grpc-js client. */
import * as grpc from "@grpc/grpc-js";

const concurrency = 64;

export interface LoadClient {
  call(path: string, request: Uint8Array): Promise<Buffer>;
  /** Makes `calls` calls, 64 at a time, and ends with the last answer. Throws on the first failure. */
  load(path: string, request: Uint8Array, calls: number): Promise<void>;
  close(): void;
}

export function loadClient(port: number): LoadClient {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const serialize = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const call = (path: string, request: Uint8Array, answered: (error: Error | null, answer?: Buffer) => void) =>
    client.makeUnaryRequest(path, serialize, (bytes: Buffer) => bytes, request, answered);

  return {
    call: (path, request) =>
      new Promise((resolve, reject) =>
        call(path, request, (error, answer) => (error ? reject(error) : resolve(answer as Buffer))),
      ),

    load(path, request, calls) {
      let [begun, ended] = [0, 0];
      return new Promise((resolve, reject) => {
        const next = () => {
          begun += 1;
          call(path, request, (error) => {
            ended += 1;
            if (error) reject(error);
            else if (begun < calls) next();
            else if (ended === calls) resolve();
          });
        };
        for (let i = 0; i < Math.min(concurrency, calls); i += 1) next();
      });
    },

    close: () => client.close(),
  };
}
