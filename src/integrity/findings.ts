/** The findings of the passes and their consequences: losses, log lines, the health of the service. */
import type { Logger } from "pino";
import type { Alarm } from "../alarm.ts";
import { notice, type Problem } from "../notices.ts";
import type { RowProblem } from "../store/row-problem.ts";
import { isOfKey, isOfLog, type Losses } from "./losses.ts";
import { nameOf } from "./pass.ts";

export interface FindingsParts {
  losses: Pick<Losses, "replace">;
  keyring: { invalidate(tenantId: string, keyId: string): void };
  alarm: Pick<Alarm, "changed">;
  log: Logger;
}

export interface Findings {
  /** A pass begins: what the last one found stands until this one ends. */
  begin(): void;
  add(problems: readonly RowProblem[]): void;
  /** The pass ended, and gives how much it found; or it was ended before, and what it found stands with the rest. */
  end(how: "whole" | "early"): number;
  all(): RowProblem[];
  /** The reasons why the service is not operational. */
  problems(): Problem[];
}

/** Lines in the log. */
const mostLogged = 1_000;
const mostNamed = 5;
/** Of a text. What somebody wrote into a row can have any length, and Status and the log hold many. */
export const mostCharacters = 300;

export function createFindings({ losses, keyring, alarm, log }: FindingsParts): Findings {
  let known = new Map<string, RowProblem>();
  let fresh = new Map<string, RowProblem>();
  const all = () => [...new Map([...known, ...fresh]).values()];

  function apply(): void {
    losses.replace(all());
    alarm.changed();
  }

  return {
    begin() {
      fresh = new Map();
    },

    add(found) {
      const problems = found.map(inFewWords);
      for (const problem of problems) {
        if (!fresh.has(nameOf(problem)) && fresh.size < mostLogged) logged(log, problem);
        fresh.set(nameOf(problem), problem);
      }
      apply();
      // The refusal comes first, so that nothing is cached again.
      for (const { tenantId, keyId } of problems.filter(isOfKey)) keyring.invalidate(tenantId, keyId);
    },

    end(how) {
      const found = fresh.size;
      known = how === "whole" ? fresh : new Map([...known, ...fresh]);
      fresh = new Map();
      apply();
      return found;
    },

    all,
    problems: () => problemsOf(all()),
  };
}

function inFewWords(problem: RowProblem): RowProblem {
  const short = (text: string) => (text.length > mostCharacters ? `${text.slice(0, mostCharacters - 1)}…` : text);
  return { ...problem, tenantId: short(problem.tenantId), keyId: short(problem.keyId), what: short(problem.what) };
}

function logged(log: Logger, { kind, tenantId, keyId, log: number, what }: RowProblem): void {
  const about = { kind, tenant_id: tenantId || undefined, key_id: keyId || undefined, log: number };
  log.error(about, `the examination of the store found: ${what}`);
}

/** The trail and the heads vouch for all that is stored; a key, a log or an index for itself. */
function problemsOf(findings: readonly RowProblem[]): Problem[] {
  const isOfAll = ({ kind }: RowProblem) => kind === "audit_trail" || kind === "heads";
  const ofAll = findings.filter(isOfAll);
  const others = findings.filter((each) => !isOfAll(each));
  const found: Problem[] = [];
  if (ofAll.length > 0) {
    const text = `The audit trail or the heads in the store are damaged, run fluo-kms check: ${listed(ofAll)}.`;
    found.push({ status: "down", notice: notice("TRAIL_DAMAGED", text) });
  }
  if (others.length > 0) {
    const text = `The store is damaged, run fluo-kms check: ${listed(others)}.`;
    found.push({ status: "degraded", notice: notice("STORE_DAMAGED", text) });
  }
  return found;
}

function listed(problems: readonly RowProblem[]): string {
  const some = problems.slice(0, mostNamed).map((problem) => {
    const { tenantId, keyId, log, what } = problem;
    const about = [
      tenantId && `tenant ${tenantId}`,
      keyId && `key ${keyId}`,
      isOfLog(problem) && !what.includes(`log ${log}`) && `log ${log}`,
    ].filter(Boolean);
    return about.length === 0 ? what : `${about.join(", ")}: ${what}`;
  });
  const more = problems.length - some.length;
  return `${some.join("; ")}${more === 0 ? "" : `; and ${more} more`}`;
}
