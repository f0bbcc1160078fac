/**
 * A stand-in between clients and the service, for SignSpans alone. The first answer of the service is lost, together with its connection:
 * the log has the batch, and the client does not know. The streams after it are refused, and those after these are passed on.
 */
import * as grpc from "@grpc/grpc-js";
import { bearer } from "../../test/support/running-service.ts";
import { type CuttingProxy, startCuttingProxy } from "./cutting-proxy.ts";

export interface RelayOptions {
  /** `127.0.0.1:port` of the service. */
  service: string;
  /** Shown to the service; clients need none. */
  token: string;
  /** How many streams are refused. */
  refusals: number;
  /** Begins the refusals. No stream is served meanwhile. */
  refuse(): Promise<void>;
  /** Ends the refusals. No stream is served meanwhile. */
  mend(): Promise<void>;
  /** The status of a refusal; undefined: the service itself refuses. */
  refusal?: Partial<grpc.StatusObject>;
}

export interface RefusingRelay {
  /** `127.0.0.1:port` for clients. */
  address: string;
  /** Codes of the streams that were refused. */
  refused: readonly grpc.status[];
  stop(): void;
}

type Stream = grpc.ServerDuplexStream<Buffer, Buffer>;

const path = "/fluo.kms.v1.KmsService/SignSpans";
const same = (bytes: Buffer) => bytes;

export async function startRefusingRelay(options: RelayOptions): Promise<RefusingRelay> {
  const { service, token, refusals, refuse, mend, refusal } = options;
  const proxy: CuttingProxy = await startCuttingProxy();
  const client = new grpc.Client(service, grpc.credentials.createInsecure());
  const refused: grpc.status[] = [];
  let phase: "cut" | "refused" | "passed" = "cut";
  /** Streams begin once it has resolved. */
  let ready = Promise.resolve();

  function cut(): void {
    phase = "refused";
    ready = refuse();
    proxy.cut();
  }

  function refuseStream(stream: Stream, status: Partial<grpc.StatusObject>): void {
    if (refused.push(status.code!) === refusals) {
      phase = "passed";
      ready = mend();
    }
    stream.emit("error", status);
  }

  async function serve(stream: Stream): Promise<void> {
    stream.on("error", () => {});
    await ready;
    const began = phase;
    if (began === "refused" && refusal !== undefined) {
      refuseStream(stream, refusal);
      return;
    }
    const call = client.makeBidiStreamRequest(path, same, same, bearer(token));
    stream.on("data", (batch: Buffer) => call.write(batch));
    stream.on("end", () => call.end());
    stream.on("cancelled", () => call.cancel());
    call.on("error", () => {});
    call.on("data", (answer: Buffer) => {
      if (phase === "cut") cut();
      else if (began !== "cut") stream.write(answer);
    });
    call.on("status", (status: grpc.StatusObject) => {
      if (began === "cut") return;
      if (status.code === grpc.status.OK) stream.end();
      else if (began === "refused") refuseStream(stream, status);
      else stream.emit("error", status);
    });
  }

  const server = new grpc.Server();
  const definition = {
    signSpans: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
  server.addService(definition, { signSpans: (stream: Stream) => void serve(stream) });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  proxy.to(port);
  return {
    address: `127.0.0.1:${proxy.port}`,
    refused,
    stop() {
      proxy.close();
      server.forceShutdown();
      client.close();
    },
  };
}
