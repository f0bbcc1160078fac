/** From arguments to an exit code: help, version, the command, and how what goes wrong is told. */
import { inspect } from "node:util";
import { verifierPageSha256 } from "../../gen/ts/verifier_page.ts";
import { misreadsNames, misreadText } from "../runtime/misread-names.ts";
import { version } from "../version.ts";
import { operandsOf, parseArguments } from "./arguments.ts";
import { acceptRollback } from "./commands/accept-rollback.ts";
import { auditVerify } from "./commands/audit-verify.ts";
import { backup } from "./commands/backup.ts";
import { check } from "./commands/check.ts";
import { type Command, type ExitCode, exitCode, Failure, UsageError } from "./command.ts";
import { cpuProfile } from "./commands/cpu-profile.ts";
import { demo } from "./commands/demo.ts";
import { noteCheck } from "./commands/note-check.ts";
import { commandHelp, globalHelp } from "./help.ts";
import { logLevel } from "./commands/log-level.ts";
import { metrics } from "./commands/metrics.ts";
import { migrate } from "./commands/migrate.ts";
import { policyCheck } from "./commands/policy-check.ts";
import { policyDiff } from "./commands/policy-diff.ts";
import { policyExplain } from "./commands/policy-explain.ts";
import { policyNew } from "./commands/policy-new.ts";
import { policyTest } from "./commands/policy-test.ts";
import { preflight } from "./preflight/preflight.ts";
import { lostOutput, outputColumns, printError, printJson, printLine, printText } from "./print.ts";
import { restore } from "./commands/restore.ts";
import { rewrap } from "./commands/rewrap.ts";
import { rotate } from "./commands/rotate.ts";
import { serve } from "./commands/serve.ts";
import { sign } from "./commands/sign.ts";
import { bad } from "./styled.ts";
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
  metrics,
  logLevel,
  cpuProfile,
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
  policyTest,
  policyDiff,
  tokenNew,
];

export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  try {
    const code = await run(args);
    const lost = await lostOutput();
    if (lost !== undefined) throw lost;
    return code;
  } catch (error) {
    return report(error, args.includes("--json"));
  }
}

async function run(args: readonly string[]): Promise<ExitCode> {
  const invocation = parseArguments(args, commands);
  const { command, named, options } = invocation;
  if (options.help) printHelp(named ? command : undefined);
  else if (options.version) printVersion(options.json === true);
  else return command.run(options, ...operandsOf(invocation));
  return exitCode.ok;
}

/** Lines longer than this are hard to read, however wide the terminal is. */
const mostColumns = 120;

function printHelp(command: Command | undefined): void {
  const columns = outputColumns() && Math.min(outputColumns()!, mostColumns);
  const lines = command === undefined ? globalHelp(commands, columns) : commandHelp(command, columns);
  for (const line of lines) printLine(line);
}

function printVersion(json: boolean): void {
  const notices = misreadsNames() ? [misreadText] : [];
  if (json) printJson({ version, verifier_page_sha256: verifierPageSha256, ...(notices.length > 0 && { notices }) });
  else printText([version, `fluo-verify.html sha256 ${verifierPageSha256}`, ...notices].join("\n"));
}

/** With --json, standard output holds one JSON document, also of what went wrong. */
async function report(error: unknown, json: boolean): Promise<ExitCode> {
  if (error instanceof UsageError) {
    printError(bad("fluo-kms", `: ${error.message}`));
    printError("fluo-kms --help tells more.");
    return exitCode.usage;
  }
  if (error instanceof Failure) {
    if (json) printJson(error.json);
    if (json && (await lostOutput()) === undefined) return exitCode.failed;
    for (const line of error.message.split("\n")) printError(bad("fluo-kms", `: ${line}`));
  } else for (const line of inspect(error).split("\n")) printError(line); // a defect, which Node would print as it is
  return exitCode.failed;
}
