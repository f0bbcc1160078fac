/** A grpc-js server whose handler does nothing: what a unary call costs before the service does anything. */
import * as grpc from "@grpc/grpc-js";

export interface EmptyServer {
  port: number;
  stop(): Promise<void>;
}

/** PEM. */
export interface ServerKey {
  certificate: string;
  key: string;
}

/** Answers /bench/NAME with that many bytes, over TLS where it has a key. */
export function startEmpty(answerBytes: Readonly<Record<string, number>>, own?: ServerKey): Promise<EmptyServer> {
  const server = new grpc.Server();
  const bytes = (message: Buffer) => message;
  for (const [name, size] of Object.entries(answerBytes)) {
    const answer = Buffer.alloc(size, 1);
    const method = {
      path: `/bench/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    } as const;
    const handle: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, answer);
    server.addService({ [name]: method }, { [name]: handle });
  }
  const stop = () => new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", own ? overTls(own) : grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve({ port, stop }),
    );
  });
}

function overTls({ certificate, key }: ServerKey): grpc.ServerCredentials {
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return grpc.ServerCredentials.createSsl(null, [pair]);
}
