/** gRPC health (grpc.health.v1): the server as a whole and each service that it serves, in one state, which is the health monitor's. */
import { HealthImplementation } from "grpc-health-check";
import type { HealthMonitor } from "../../health/monitor.ts";

export interface GrpcHealth {
  /** Answers for these services too, by their full names. */
  addToServer(server: Parameters<HealthImplementation["addToServer"]>[0], services: readonly string[]): void;
}

export function createGrpcHealth(monitor: Pick<HealthMonitor, "current" | "subscribe">): GrpcHealth {
  const status = () => (monitor.current().status === "down" ? "NOT_SERVING" : "SERVING");
  const names = [""];
  const implementation = new HealthImplementation({ "": status() });
  const tell = () => {
    for (const name of names) implementation.setStatus(name, status());
  };
  monitor.subscribe(tell);
  return {
    addToServer(server, services) {
      names.push(...services);
      tell();
      implementation.addToServer(server);
    },
  };
}
