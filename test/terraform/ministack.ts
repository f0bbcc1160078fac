/** Starts ministack, which scripts/tools/ministack.ts installs, with IAM in force: everyone but its root needs a policy. */
import { join } from "node:path";
import { startServer } from "../support/server-program.ts";

export interface Ministack {
  url: string;
  close(): Promise<void>;
}

/** Of the root of its one account. */
export const rootKey = { id: "test", secret: "test" };
export const account = "000000000000";

const python = join(import.meta.dirname, "..", "..", "tools", "ministack", "bin", "python");

export async function startMinistack(): Promise<Ministack> {
  const env = {
    BIND_HOST: "127.0.0.1",
    GATEWAY_PORT: "0",
    IOT_MTLS_ENABLED: "0", // which would listen on every address
    AUTH: "true",
    AWS_ACCESS_KEY_ID: rootKey.id,
    AWS_SECRET_ACCESS_KEY: rootKey.secret,
  };
  const script = join(import.meta.dirname, "faithful_ministack.py");
  const server = await startServer(python, [script], { env, ready: /Running on (http:\/\/127\.0\.0\.1:\d+)\D/ });
  return { url: server.ready[1]!, close: () => server.end() };
}
