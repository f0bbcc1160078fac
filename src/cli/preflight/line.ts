/** One line of the checklist, as preflight answers it. */

export interface Line {
  /** Of the check, or of a notice: see check-ids.ts. */
  id: string;
  /** WARN is for what an operator should know and may leave. SKIPPED is for what does not apply or was not tried: `text` says which. */
  outcome: "PASS" | "WARN" | "FAIL" | "SKIPPED";
  /** What was found. */
  text: string;
  /** What to do. */
  advice?: string;
}

export function pass(id: string, text: string): Line {
  return { id, outcome: "PASS", text };
}

/** A line on what may stay as it is, with what else could be done. */
export function warn(id: string, text: string, advice: string): Line {
  return { id, outcome: "WARN", text, advice };
}

export function fail(id: string, text: string, advice?: string): Line {
  return { id, outcome: "FAIL", text, ...(advice !== undefined && { advice }) };
}

export function skipped(id: string, text: string, advice?: string): Line {
  return { id, outcome: "SKIPPED", text, ...(advice !== undefined && { advice }) };
}

/** What the service does not send, being older than this command. */
export function unsent(id: string): Line {
  return fail(id, "the service does not say", "run the service in the release of this command");
}
