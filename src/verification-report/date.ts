/** The date of a report: a date of RFC 3339, with or without a time. */

/** What a text should have been that is none. */
export const reportDateForm = "a date such as 2026-01-02, or a time such as 2026-01-02T03:04:05Z";

export function isReportDate(text: string): boolean {
  const day = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text)?.[1];
  if (day === undefined || Number.isNaN(Date.parse(text))) return false;
  // Date.parse takes 30 February for 2 March.
  return new Date(day).toISOString().startsWith(day);
}

/** Without parts of a second. */
export function reportDateOf(now: Date): string {
  return now.toISOString().replace(/\.\d+/, "");
}
