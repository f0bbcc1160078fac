/** What commands that call a running service find in the environment. The service itself reads nothing of it. */
import type { Environment } from "./sources.ts";

const variables = {
  address: "FLUO_KMS_ADDR",
  connectTo: "FLUO_KMS_CONNECT_TO",
  grpcAddress: "FLUO_KMS_GRPC_ADDR",
  token: "FLUO_KMS_TOKEN",
  tokenFile: "FLUO_KMS_TOKEN_FILE",
  caFile: "FLUO_KMS_CACERT",
  certificateFile: "FLUO_KMS_CLIENT_CERT",
  keyFile: "FLUO_KMS_CLIENT_KEY",
} as const;

export const clientVariables: readonly string[] = Object.values(variables);

/** Undefined for what is unset or empty. */
export type ClientEnvironment = Record<keyof typeof variables, string | undefined>;

export function clientEnvironment(env: Environment = process.env): ClientEnvironment {
  const given = Object.entries(variables).map(([member, name]) => [member, env[name]?.trim() || undefined]);
  return Object.fromEntries(given) as ClientEnvironment;
}
