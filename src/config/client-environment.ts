/** What commands that call a running service find in the environment. The service itself reads nothing of it. */
import type { Environment } from "./sources.ts";

/** Undefined for what is unset or empty. */
export interface ClientEnvironment {
  address: string | undefined;
  grpcAddress: string | undefined;
  token: string | undefined;
  tokenFile: string | undefined;
  caFile: string | undefined;
  certificateFile: string | undefined;
  keyFile: string | undefined;
}

export function clientEnvironment(env: Environment = process.env): ClientEnvironment {
  const given = (name: string) => env[name]?.trim() || undefined;
  return {
    address: given("FLUO_KMS_ADDR"),
    grpcAddress: given("FLUO_KMS_GRPC_ADDR"),
    token: given("FLUO_KMS_TOKEN"),
    tokenFile: given("FLUO_KMS_TOKEN_FILE"),
    caFile: given("FLUO_KMS_CACERT"),
    certificateFile: given("FLUO_KMS_CLIENT_CERT"),
    keyFile: given("FLUO_KMS_CLIENT_KEY"),
  };
}
