/** The gRPC address of a running service, for commands that call one: `FLUO_KMS_GRPC_ADDR`. The service itself does not read it. */
import type { Environment } from "./sources.ts";

/** Undefined when it is unset or empty. */
export function grpcAddressFrom(env: Environment = process.env): string | undefined {
  return env.FLUO_KMS_GRPC_ADDR?.trim() || undefined;
}
