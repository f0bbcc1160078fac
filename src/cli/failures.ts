/** Why the service did not start or a command did not go on, in one line that says what to do. */
import type { Config } from "../config/config.ts";
import { KmsError } from "../errors.ts";

type Settings = Pick<Config, "host" | "grpcPort" | "httpPort">;

export function startFailure(thrown: unknown, config: Settings): string {
  const error = firstOf(thrown);
  if (error instanceof KmsError) return `did not start: ${withAdvice(error)}`;
  const { code, port } = systemError(error);
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
      return `did not start, or did not stop in order: ${textOf(error).split("\n")[0]}`;
  }
}

/** What failed first: a part that then could not be closed hides it. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

/** Never the URL of a store, which may hold a password. */
export function withAdvice({ message, advice }: KmsError): string {
  return advice === undefined ? message : `${message}: ${advice}`;
}

/**
 * Node gives code and port. grpc-js gives neither: its `bindAsync` fails with a new Error whose message quotes the system's
 * ("No address added: [listen EADDRINUSE: … 127.0.0.1:9000]"). Elsewhere the text of an error decides nothing, except that of grpc-js'
 * client in `sign/span-stream.ts`.
 */
function systemError(error: unknown): { code: string | undefined; port: number } {
  const text = textOf(error);
  const known = error as NodeJS.ErrnoException & { port?: number };
  return {
    code: known.code ?? /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL|ENOTFOUND)\b/.exec(text)?.[0],
    port: Number(known.port ?? /:(\d+)\]?$/.exec(text)?.[1]),
  };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
