/** The report of a verification as a page of HTML: no script, no request, printed on A4. The same facts and origin make the same bytes. */
import { conclusionOf } from "./conclusion.ts";
import type { Facts } from "./facts.ts";

/** Who made a report, when, and how anybody makes it again. */
export interface ReportOrigin {
  /** Program and version. */
  madeBy: string;
  /** As the person who asks gave it, or RFC 3339. */
  date: string;
  /** The command that makes the same report from the same files. */
  command: string;
}

export function reportHtml(facts: Facts, { madeBy, date, command }: ReportOrigin): string {
  return `<!doctype html><title>${conclusionOf(facts)}</title><p>${madeBy} ${date} ${command}</p>`;
}
