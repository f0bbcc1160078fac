/** gRPC health (grpc.health.v1): the server as a whole and each service that it serves, in one state. */
import { HealthImplementation } from "grpc-health-check";

export type ServingStatus = "SERVING" | "NOT_SERVING";

export interface GrpcHealth {
  announce(status: ServingStatus): void;
  /** Answers for these services too, by their full names. */
  addToServer(server: Parameters<HealthImplementation["addToServer"]>[0], services: readonly string[]): void;
}

/** NOT_SERVING until something else is announced. */
export function createGrpcHealth(): GrpcHealth {
  let status: ServingStatus = "NOT_SERVING";
  const names = [""];
  const implementation = new HealthImplementation({ "": status });
  const tell = () => {
    for (const name of names) implementation.setStatus(name, status);
  };
  return {
    announce(next) {
      status = next;
      tell();
    },
    addToServer(server, services) {
      names.push(...services);
      tell();
      implementation.addToServer(server);
    },
  };
}
