/**
 * Verifies that the audit trail is as it was written: every row of every writer, up to the head that the writer had at the beginning. It goes
 * page by page, so that calls are answered in between.
 */
import { setImmediate } from "node:timers/promises";
import { refuseAborted } from "../runtime/deadline.ts";
import { type AuditCursor, type AuditHead, type AuditProblem, beforeWriters } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";
import { type HeadsAtStart, headsAtStart } from "./heads-at-start.ts";

export interface AuditReport {
  events: number;
  /** Heads of the writers behind `headsAfter`, by their ids; at most `maxHeads`. */
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

const pageRows = 250;
const maxProblems = 1_000;
/** Heads of an answer: they fit in a message together with the problems. */
export const maxHeads = 10_000;

/**
 * Verifies in the memory that HeadsAtStart takes, however long the trail is. Rows that are appended meanwhile, and writers that begin, are not of the verdict
 * and do not delay it. CANCELLED at the next page once nobody waits.
 */
export async function verifyAudit(
  store: Pick<Store, "auditHeads" | "verifyAudit">,
  { headsAfter = "", signal }: AuditAsked = {},
): Promise<AuditReport> {
  const report: AuditReport = { events: 0, heads: [], headsTotal: 0, problems: [], problemCount: 0 };
  const noted = await headsAtStart(store, signal);
  let from: AuditCursor | undefined = beforeWriters;
  do {
    refuseAborted(signal);
    const page = await store.verifyAudit(from, pageRows);
    report.events += page.events;
    report.headsTotal += page.heads.length;
    const heads = page.heads.filter(({ writerId }) => writerId > headsAfter);
    report.heads.push(...heads.slice(0, maxHeads - report.heads.length));
    report.problems.push(...page.problems.slice(0, maxProblems - report.problems.length));
    report.problemCount += page.problems.length;
    from = page.next && endingAt(noted, page.next);
    await setImmediate();
  } while (from !== undefined);
  return report;
}

/** Adds the end of the writer's rows, if the page before did not begin with them. */
function endingAt(noted: HeadsAtStart, next: AuditCursor): AuditCursor {
  return next.sequence === 0 ? { ...next, until: noted.of(next.writerId) } : next;
}
