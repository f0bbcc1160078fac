/** One line of the checklist, as preflight answers it. */

export interface Line {
  name: string;
  /** SKIPPED is for what does not apply, and for what was not tried: `found` says which. */
  result: "PASS" | "FAIL" | "SKIPPED";
  found: string;
  advice?: string;
}

/** A line that is as it should be; advice is for what may stay as it is. */
export function pass(name: string, found: string, advice?: string): Line {
  return { name, result: "PASS", found, ...(advice !== undefined && { advice }) };
}

export function fail(name: string, found: string, advice?: string): Line {
  return { name, result: "FAIL", found, ...(advice !== undefined && { advice }) };
}

export function skipped(name: string, found: string, advice?: string): Line {
  return { name, result: "SKIPPED", found, ...(advice !== undefined && { advice }) };
}

/** What the service does not send, being older than this command. */
export function untold(name: string): Line {
  return fail(name, "the service does not say", "run the service in the release of this command");
}
