/** The service as a process with a gRPC client of it, for the test that calls this. */
import { onTestFinished } from "vitest";
import { type GrpcClient, grpcClient } from "./running-service.ts";
import { type ServiceProcess, type ServiceProcessOptions, startProcess } from "./service-process.ts";

export interface ClientOfProcess extends ServiceProcess {
  client: GrpcClient;
  /** Ends the process, and gives its exit code: null after SIGKILL. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export async function startWithClient(
  env: Record<string, string>,
  options?: ServiceProcessOptions,
): Promise<ClientOfProcess> {
  const service = await startProcess(env, options);
  const client = grpcClient(service.grpc);
  onTestFinished(() => client.close());
  return {
    ...service,
    client,
    async end(signal = "SIGTERM") {
      service.child.kill(signal);
      return (await service.ended).code;
    },
  };
}
