/** Policies that were named on the command line or by the configuration, and the files that they name in turn. */
import { realTime } from "../../runtime/time.ts";
import { expiredTokens, type Policy, type ReadPolicy, readPolicy } from "../../auth/policy/policy.ts";
import type { PolicyProblem } from "../../auth/policy/text.ts";
import { inOrder, policyOptions, type PolicySettings, readFilesForStart } from "../../auth/policy-files.ts";
import { Failure } from "../command.ts";
import { readFile } from "../files.ts";
import { problemsCounted } from "../print.ts";
import { type Case, readCases } from "./cases.ts";

/** Reads a policy as it is written. Throws UsageError if the file cannot be read. */
export function readPolicyFile(file: string): ReadPolicy {
  const text = textIn(file);
  return text === undefined ? { policy: undefined, problems: [noText], warnings: [] } : readPolicy(text);
}

const noText: PolicyProblem = { line: 1, text: "is not UTF-8" };

/** Undefined for a file that is not UTF-8. */
function textIn(file: string): string | undefined {
  const bytes = readFile(file);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

/** The policy of a file that has no problems. Throws a Failure that names them all. */
export function goodPolicy(file: string): Policy {
  const { policy, problems } = readPolicyFile(file);
  if (policy !== undefined) return policy;
  throw problemsOf(file, problems);
}

/** The cases of a file that has no problems, for a policy. Throws as goodPolicy does. */
export function goodCases(file: string, of: { policy: Policy; now: number }): readonly Case[] {
  const text = textIn(file);
  const { cases, problems } = text === undefined ? { cases: [], problems: [noText] } : readCases(text, of);
  if (problems.length > 0) throw problemsOf(file, problems);
  return cases;
}

function problemsOf(file: string, problems: readonly PolicyProblem[]): Failure {
  const lines = problems.map(({ line, text }) => ({ field: `${file}:${line}`, description: text }));
  return new Failure(lines.map(({ field, description }) => `${field}: ${description}`).join("\n"), {
    code: "FAILED",
    message: `${file} has ${problemsCounted(problems.length)}`,
    fields: lines,
  });
}

/** The policy with what a start on a developer's machine says of it; `withFiles`, also of the files that it names. */
export function checkPolicyFile(file: string, { withFiles, nowMs }: { withFiles: boolean; nowMs: number }): ReadPolicy {
  const read = readPolicyFile(file);
  const { policy, warnings } = read;
  if (policy === undefined) return read;
  if (!withFiles) return { ...read, warnings: inOrder([...warnings, ...expiredTokens(policy, nowMs)]) };
  const { problems, ...checked } = readFilesForStart(file, { nowMs, strict: false, tls: "own" });
  return { ...checked, problems: problems.map(elsewhereToo) };
}

/** A policy may be checked where its files are not. */
function elsewhereToo({ line, text }: PolicyProblem): PolicyProblem {
  return {
    line,
    text: text.includes(" cannot be read (") ? `${text}; --no-files checks the rest on another machine` : text,
  };
}

/** What is wrong with the policy of a service that is to start, and with its files. No issuer is asked. */
export function policyProblems(
  settings: PolicySettings & { readonly auth: string; readonly policyFile: string | undefined },
) {
  const { auth, policyFile: file } = settings;
  if (auth !== "policy" || file === undefined) return [];
  const { problems } = readFilesForStart(file, policyOptions(settings, realTime.now().getTime()));
  return problems.map(({ line, text }) => ({ name: `${file}:${line}`, description: text }));
}
