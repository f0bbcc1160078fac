/** `cpu-profile`: what the main thread of a running service does, for some seconds, over its local socket. */
import { type Command, exitCode, type OptionValues, textOf, UsageError } from "../command.ts";
import { refuseExisting, refuseUnwritable, writeNewFile } from "../new-file.ts";
import { printLine, printText } from "../print.ts";
import { callLocal, localOptions } from "../service-client.ts";

const mostSeconds = 60;
/** Beside the seconds themselves. */
const answerMs = 30_000;

export const cpuProfile: Command = {
  name: "cpu-profile",
  summary: "Takes a CPU profile of a running service: names of functions and their times, and no values.",
  options: [
    ...localOptions,
    { name: "seconds", value: "N", description: `how long, from 1 to ${mostSeconds}` },
    { name: "output", value: "FILE", description: "a new file for the profile, instead of standard output" },
  ],
  details: [
    "The profile is JSON that Chrome's developer tools and VS Code open; end its file's name with .cpuprofile. It is a row of the audit trail.",
    "It is served by the local socket alone.",
    "",
  ],
  async run(options) {
    const seconds = secondsIn(options);
    const file = textOf(options, "output");
    if (file !== undefined) {
      refuseExisting(file);
      refuseUnwritable(file);
    }
    const path = `/api/admin/kms/cpu-profile?seconds=${seconds}`;
    const { text } = await callLocal(options, { method: "POST", path, timeoutMs: seconds * 1_000 + answerMs });
    if (file === undefined) printText(text);
    else {
      writeNewFile(file, [`${text}\n`], 0o600);
      printLine(`${file} has ${seconds} s of the main thread`);
    }
    return exitCode.ok;
  },
};

function secondsIn(options: OptionValues): number {
  const text = textOf(options, "seconds");
  if (text === undefined) throw new UsageError("cpu-profile needs --seconds N");
  const seconds = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= mostSeconds) return seconds;
  throw new UsageError(`--seconds must be a whole number from 1 to ${mostSeconds}, not ${text}`);
}
