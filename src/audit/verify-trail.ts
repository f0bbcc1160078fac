/** Whether the audit trail is as it was written: every row of every writer, page by page, so that calls are answered in between. */
import { setImmediate } from "node:timers/promises";
import { refuseAborted } from "../runtime/deadline.ts";
import type { AuditCursor, AuditHead, AuditProblem } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";

export interface AuditReport {
  events: number;
  heads: AuditHead[];
  problems: AuditProblem[];
  /** Problems that were found; the list may have fewer. */
  problemCount: number;
}

const pageRows = 5_000;
const maxProblems = 1_000;

export async function verifyAudit(store: Pick<Store, "verifyAudit">, signal?: AbortSignal): Promise<AuditReport> {
  const report: AuditReport = { events: 0, heads: [], problems: [], problemCount: 0 };
  let from: AuditCursor | undefined;
  do {
    refuseAborted(signal);
    const page = await store.verifyAudit(from, pageRows);
    report.events += page.events;
    for (const head of page.heads) report.heads.push(head);
    for (const problem of page.problems.slice(0, maxProblems - report.problems.length)) report.problems.push(problem);
    report.problemCount += page.problems.length;
    from = page.next;
    await setImmediate();
  } while (from !== undefined);
  return report;
}
