/** From arguments to an exit code: help, version, the command, and how what goes wrong is told. */
import { misreadNotice, misreadsNames } from "../runtime/misread-names.ts";
import { version } from "../version.ts";
import { operandsOf, parseArguments } from "./arguments.ts";
import { acceptRollback } from "./heads/accept-rollback.ts";
import { auditVerify } from "./commands/audit-verify.ts";
import { backup } from "./commands/backup.ts";
import { check } from "./commands/check.ts";
import { type Command, type ExitCode, exitCode, Failure, UsageError } from "./command.ts";
import { demo } from "./commands/demo.ts";
import { noteCheck } from "./check/note-check.ts";
import { commandHelp, globalHelp } from "./help.ts";
import { migrate } from "./migrate/migrate.ts";
import { policyCheck } from "./commands/policy-check.ts";
import { policyDiff } from "./commands/policy-diff.ts";
import { policyExplain } from "./commands/policy-explain.ts";
import { policyNew } from "./commands/policy-new.ts";
import { preflight } from "./preflight/preflight.ts";
import { oneLine, printJson } from "./print.ts";
import { restore } from "./commands/restore.ts";
import { rewrap } from "./commands/rewrap.ts";
import { rotate } from "./commands/rotate.ts";
import { serve } from "./commands/serve.ts";
import { sign } from "./commands/sign.ts";
import { status } from "./commands/status.ts";
import { tokenNew } from "./commands/token-new.ts";
import { validate } from "./commands/validate.ts";
import { verify } from "./commands/verify.ts";
import { whoami } from "./commands/whoami.ts";

const commands: readonly Command[] = [
  serve,
  demo,
  validate,
  status,
  preflight,
  whoami,
  rotate,
  rewrap,
  sign,
  verify,
  backup,
  restore,
  acceptRollback,
  check,
  noteCheck,
  migrate,
  auditVerify,
  policyNew,
  policyCheck,
  policyExplain,
  policyDiff,
  tokenNew,
];

export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  try {
    const invocation = parseArguments(args, commands);
    const { command, named, options } = invocation;
    if (options.help) console.log(named ? commandHelp(command) : globalHelp(commands));
    else if (options.version) printVersion(options.json === true);
    else return await command.run(options, ...operandsOf(invocation));
    return exitCode.ok;
  } catch (error) {
    return report(error, args.includes("--json"));
  }
}

function printVersion(json: boolean): void {
  const notices = misreadsNames() ? [misreadNotice] : [];
  if (json) printJson({ version, ...(notices.length > 0 && { notices }) });
  else console.log([version, ...notices].join("\n"));
}

/** With --json, standard output holds one JSON document, also of what went wrong. */
function report(error: unknown, json: boolean): ExitCode {
  if (error instanceof UsageError) {
    console.error(`fluo-kms: ${oneLine(error.message)}\nfluo-kms --help tells more.`);
    return exitCode.usage;
  }
  if (!(error instanceof Failure)) throw error;
  if (json) printJson(error.json);
  else for (const line of error.message.split("\n")) console.error(`fluo-kms: ${oneLine(line)}`);
  return exitCode.failed;
}
