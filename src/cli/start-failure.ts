/** Why the service did not start, in one line that says what to do. gRPC hands on the system's error as text alone. */
import type { Config } from "../config/config.ts";
import { KmsError } from "../errors.ts";
import { storeFailure } from "./store-failure.ts";

type Settings = Pick<Config, "host" | "grpcPort" | "httpPort">;

export function startFailure(error: unknown, config: Settings): string {
  if (error instanceof KmsError) return `did not start: ${storeFailure(error)}`;
  const text = error instanceof Error ? error.message : String(error);
  const code =
    (error as NodeJS.ErrnoException).code ?? /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL|ENOTFOUND)\b/.exec(text)?.[0];
  const port = Number((error as { port?: number }).port ?? /:(\d+)\]?$/.exec(text)?.[1]);
  const setting = port === config.httpPort ? "fluo.kms.http.port" : "fluo.kms.grpc.port";
  switch (code) {
    case "EADDRINUSE":
      return `port ${port || ""} of ${config.host} is in use; stop what uses it, or set ${setting} to another port`;
    case "EACCES":
      return `port ${port || ""} of ${config.host} is not allowed to this user; set ${setting} to a port above 1023`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `${config.host} is not an address of this machine; set fluo.kms.host to one that is, such as 127.0.0.1`;
    default:
      return `did not start, or did not stop in order: ${text.split("\n")[0]}`;
  }
}
