/** `log-level`: the level of a running service's log, over its local socket, until it ends or is set again. */
import { logLevels } from "../../config/known-settings.ts";
import { type Command, exitCode, jsonOption, UsageError } from "../command.ts";
import { printJsonText, printLine } from "../print.ts";
import { callLocal, localOptions } from "../service-client.ts";

const path = "/api/admin/kms/log-level";
const timeoutMs = 30_000;
const levels: readonly string[] = logLevels;

export const logLevel: Command = {
  name: "log-level",
  summary: "Shows or sets the log level of a running service, until its next start.",
  options: [...localOptions, jsonOption],
  operand: "[LEVEL]",
  details: [
    `LEVEL is one of ${levels.join(", ")}. A change is a row of the audit trail. It is served by the local socket alone.`,
    "",
  ],
  async run(options, level) {
    if (level !== undefined && !levels.includes(level)) {
      throw new UsageError(`LEVEL must be one of ${levels.join(", ")}, not ${level}`);
    }
    const { text, json } = await callLocal(
      options,
      level === undefined ? { method: "GET", path, timeoutMs } : { method: "POST", path, body: { level }, timeoutMs },
    );
    if (options.json === true) printJsonText(text);
    else
      printLine(json.level === json.configured ? `${json.level}` : `${json.level}, configured is ${json.configured}`);
    return exitCode.ok;
  },
};
