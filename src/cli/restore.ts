/** `restore`: a backup into an empty store, and what came back that somebody may have put away on purpose. */
import { resolve } from "node:path";
import { KmsError } from "../errors.ts";
import {
  type Contents,
  type NotableKey,
  openBackup,
  openTablesToFill,
  type RowProblem,
  type Tables,
} from "../store/registry.ts";
import type { AuditEvent } from "../store/store.ts";
import { type Command, exitCode, Failure, jsonOption } from "./command.ts";
import { configOption } from "./configuration.ts";
import { printJson, printLine, printTable } from "./print.ts";
import { problemJson, problemText } from "./row-problem.ts";
import { contentsJson, contentsRows, keyOf, presentMasterKeys, storeName, using, withConfig } from "./store.ts";

const warnings = [
  "Keys that were destroyed after the backup was made are back, and those that were disabled or marked as compromised are as before: do it again.",
  "Keys that were made after it are gone, and what is encrypted under them cannot be decrypted.",
  "Leases are reset; remembered request ids are kept.",
];
/** More problems of a backup than anyone reads at once are counted. */
const shownProblems = 20;

export const restore: Command = {
  name: "restore",
  summary: "Fills an empty store from a backup.",
  options: [configOption, jsonOption],
  operand: "FILE",
  details: [
    "Into the store that the settings name, which must be empty. The configured provider must open the backup, and every row of it must be as",
    "it was written; else nothing is changed.",
  ],
  run: (options, operand) =>
    withConfig(options, (config) =>
      using(presentMasterKeys(config), (masterKeys) =>
        using(readable(operand), async (from) => {
          const { key } = await keyOf(from, masterKeys, `the backup ${operand}`);
          const now = new Date();
          const problems: RowProblem[] = [];
          const contents = await using(openTablesToFill(config.store), async (into) => {
            await refuseContent(into, storeName(config.store));
            const problem = (found: RowProblem) => problems.push(found);
            return into
              .restore(from, { key, problem, event: restoreEvent(now) })
              .catch((error) => refuse(error, operand, problems));
          });
          if (options.json === true) printJson(json(contents, problems, now));
          else print(contents, problems, now);
          return exitCode.ok;
        }),
      ),
    ),
};

async function readable(file: string): Promise<Tables> {
  try {
    return await openBackup(resolve(file));
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    const { code } = error;
    const message = `${file} is no backup that can be read: ${error.message}`;
    throw new Failure(message, { code, message, fields: [] });
  }
}

async function refuseContent(into: Tables, what: string): Promise<void> {
  const content = await into.content();
  if (content !== undefined) throw notEmpty(what, content);
}

function notEmpty(what: string, content: string): KmsError {
  return new KmsError("CONFLICT", `${what} is not empty, it has ${content}; name an empty one, or move this one away`);
}

function refuse(error: unknown, file: string, problems: readonly RowProblem[]): never {
  if (!(error instanceof KmsError) || error.code !== "DATA_LOSS") throw error;
  const { code } = error;
  const message = `${error.message}; nothing was restored: use another backup than ${file}`;
  const lines = problems.slice(0, shownProblems).map(problemText);
  if (problems.length > shownProblems) lines.push(`and ${problems.length - shownProblems} more`);
  throw new Failure([message, ...lines].join("\n"), { code, message, fields: [], problems: problems.map(problemJson) });
}

function restoreEvent(at: Date): AuditEvent {
  return {
    at,
    actor: "command line",
    action: "restore",
    tenantId: "",
    purpose: undefined,
    keyId: "",
    outcome: "OK",
    requestId: "",
    count: 1,
  };
}

function print(contents: Contents, problems: readonly RowProblem[], now: Date): void {
  printLine("restored");
  printTable(contentsRows(contents), "  ");
  if (contents.notable.length > 0) printLine("keys that are not in use");
  const rows = contents.notable.map((key) => [
    key.tenantId,
    key.purpose,
    `v${key.version}`,
    key.keyId,
    key.state,
    destruction(key, now),
  ]);
  printTable(rows, "  ");
  for (const problem of problems) printLine(`warning: in the backup: ${problemText(problem)}`);
  for (const warning of warnings) printLine(`warning: ${warning}`);
}

function destruction(key: NotableKey, now: Date): string {
  if (key.state === "DESTROYED" || key.destroyAt === undefined) return "";
  if (isOverdue(key, now)) return `at ${key.destroyAt.toISOString()}, which has passed: the next service destroys it`;
  return `at ${key.destroyAt.toISOString()}`;
}

function isOverdue({ state, destroyAt }: NotableKey, now: Date): boolean {
  return state === "DESTROY_SCHEDULED" && destroyAt !== undefined && destroyAt <= now;
}

function json(contents: Contents, problems: readonly RowProblem[], now: Date) {
  return {
    ...contentsJson(contents),
    not_in_use: contents.notable.map((key) => ({
      tenant_id: key.tenantId,
      purpose: key.purpose,
      version: key.version,
      key_id: key.keyId,
      state: key.state,
      destroy_at: key.destroyAt?.toISOString() ?? null,
      overdue: isOverdue(key, now),
    })),
    problems: problems.map(problemJson),
    warnings,
  };
}
