/** What `restore` tells: what came back, and what somebody may have put away on purpose. */
import type { Contents, NotableKey } from "../../store/offline/copy.ts";
import type { RowProblem } from "../../store/row-problem.ts";
import type { LogOutcome } from "../verify/known-checkpoints.ts";
import { printLine, printTable } from "../print.ts";
import { warning } from "../styled.ts";
import { problemJson, problemText } from "./secret.ts";
import { contentsJson, contentsRows } from "../open-store.ts";

export interface Restored {
  contents: Contents;
  logs: readonly LogOutcome[];
  /** What heads files noted and the backup lacks. */
  lost: readonly string[];
  problems: readonly RowProblem[];
  warnings: readonly string[];
  at: Date;
}

export function printRestored({ contents, logs, lost, problems, warnings, at }: Restored): void {
  printLine("restored");
  printTable(contentsRows(contents), "  ");
  if (contents.notable.length > 0) printLine("keys that are not in use");
  const rows = contents.notable.map((key) => [
    key.tenantId,
    key.purpose,
    `v${key.version}`,
    key.keyId,
    key.state,
    destruction(key, at),
  ]);
  printTable(rows, "  ");
  if (logs.length > 0) printLine("logs");
  printTable(logs.map(logRow), "  ");
  for (const each of lost) printLine(`lost: ${each}`);
  for (const problem of problems) printLine(warning("warning", `: in the backup: ${problemText(problem)}`));
  for (const text of warnings) printLine(warning("warning", `: ${text}`));
}

function logRow({ head: { tenantId, origin, size }, goesOn, why }: LogOutcome): string[] {
  return [tenantId, origin, `${size} entries`, `${goesOn ? "goes on" : "ends"}: ${why}`];
}

function destruction(key: NotableKey, now: Date): string {
  if (key.state === "DESTROYED" || key.destroyAt === undefined) return "";
  if (isOverdue(key, now))
    return `at ${key.destroyAt.toISOString()}, which has passed: a service destroys it once it saw its days pass`;
  return `at ${key.destroyAt.toISOString()}`;
}

function isOverdue({ state, destroyAt }: NotableKey, now: Date): boolean {
  return state === "DESTROY_SCHEDULED" && destroyAt !== undefined && destroyAt <= now;
}

export function restoredJson({ contents, logs, lost, problems, warnings, at }: Restored) {
  return {
    ...contentsJson(contents),
    logs: logs.map(({ head: { tenantId, number, origin, size }, goesOn, why }) => ({
      tenant_id: tenantId,
      number,
      origin,
      size,
      goes_on: goesOn,
      why,
    })),
    not_in_use: contents.notable.map((key) => ({
      tenant_id: key.tenantId,
      purpose: key.purpose,
      version: key.version,
      key_id: key.keyId,
      state: key.state,
      destroy_at: key.destroyAt?.toISOString() ?? null,
      overdue: isOverdue(key, at),
    })),
    lost,
    problems: problems.map(problemJson),
    warnings,
  };
}
