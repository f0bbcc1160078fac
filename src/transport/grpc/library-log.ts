/** What grpc-js has to say, in the log of the service: it would write to stderr by itself. */
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
