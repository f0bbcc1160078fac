/** What grpc-js has to say, in the service's own log: it would write to standard error by itself, beside the one line that says why a start failed. */
import { format } from "node:util";
import { setLogger } from "@grpc/grpc-js";
import type { Logger } from "pino";

/** A caller's metadata stays out of the log. */
export function logWordsOfGrpc(log: Logger): void {
  const say =
    (level: "info" | "warn") =>
    (message: unknown, ...rest: unknown[]) =>
      log[level](`grpc-js: ${format(message, ...rest).replace(/(?<=Failed to add metadata entry) .*/s, "")}`);
  setLogger({ error: say("warn"), info: say("info"), debug: say("info") });
}
