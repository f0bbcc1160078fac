/** connect-node alone, whose handlers give the same answer each time: what a call over HTTP costs before the service does anything. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";

export interface LibraryServer {
  port: number;
  stop(): Promise<void>;
}

/** `answers` are wire bytes by the local names of rpcs. */
export async function startLibrary(answers: Readonly<Record<string, Uint8Array>>): Promise<LibraryServer> {
  const handlers = Object.entries(answers).map(([name, bytes]) => {
    const answer = fromBinary(KmsService.method[name as keyof typeof KmsService.method].output, bytes);
    return [name, () => answer];
  });
  const routes = connectNodeAdapter({
    routes: (router) => void router.service(KmsService, Object.fromEntries(handlers)),
    grpc: false,
  });
  const server = createServer({ keepAliveTimeout: 0 }, routes);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
