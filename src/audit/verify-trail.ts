/** Whether the audit trail is as it was written: every row of every writer, page by page, so that calls are answered in between. */
import { setImmediate } from "node:timers/promises";
import { refuseAborted } from "../runtime/deadline.ts";
import type { AuditCursor, AuditHead, AuditProblem } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";

export interface AuditReport {
  events: number;
  /** Of the writers behind `headsAfter`, by their ids; at most `maxHeads`. */
  heads: AuditHead[];
  /** Heads that are whole; the list may have fewer. */
  headsTotal: number;
  problems: AuditProblem[];
  /** Problems that were found; the list may have fewer. */
  problemCount: number;
}

/** What a report is asked for. */
export interface AuditAsked {
  /** The id of a writer; empty for all heads. */
  headsAfter?: string;
  signal?: AbortSignal | undefined;
}

const pageRows = 1_000;
const maxProblems = 1_000;
/** With the problems they fit in a message. */
export const maxHeads = 10_000;

/** In bounded memory, however long the trail is and however many wrote it. CANCELLED at the next page once nobody waits. */
export async function verifyAudit(
  store: Pick<Store, "verifyAudit">,
  { headsAfter = "", signal }: AuditAsked = {},
): Promise<AuditReport> {
  const report: AuditReport = { events: 0, heads: [], headsTotal: 0, problems: [], problemCount: 0 };
  let from: AuditCursor | undefined;
  do {
    refuseAborted(signal);
    const page = await store.verifyAudit(from, pageRows);
    report.events += page.events;
    report.headsTotal += page.heads.length;
    const heads = page.heads.filter(({ writerId }) => writerId > headsAfter);
    report.heads.push(...heads.slice(0, maxHeads - report.heads.length));
    report.problems.push(...page.problems.slice(0, maxProblems - report.problems.length));
    report.problemCount += page.problems.length;
    from = page.next;
    await setImmediate();
  } while (from !== undefined);
  return report;
}
