/** The lines that end a verification on a terminal: in short what the report says of the checks performed and of what they do not show. */

export interface Performed {
  /** Whether completeness was asked, or each span for itself. */
  log: boolean;
  /** Whether the spans' order was to be the log's. */
  ordered: boolean;
  /** Whether checkpoints were given. */
  kept: boolean;
  /** Whether verifier keys were given. */
  pinned: boolean;
}

export function closingLines({ log, ordered, kept, pinned }: Performed): string[] {
  const checks = [
    "each span's signature or log proof",
    "the state of each key",
    ...(log ? ["that no entry is missing, repeated or rewritten"] : []),
    ...(log && ordered ? ["the order of the spans"] : []),
    ...(kept ? ["the kept checkpoints"] : []),
    ...(pinned ? ["that the keys follow from a --vkey"] : []),
  ];
  const limits = [
    "that what a span says is true",
    "spans never sent or sampled away",
    log ? "what came after the last entry" : "whether spans are missing",
    ...(log && !kept ? ["whether the log was cut off or written anew"] : []),
    ...(kept ? ["that a checkpoint binds a party that kept it itself"] : []),
    ...(pinned ? [] : ["whose the keys are"]),
  ];
  return [`The following checks were performed: ${checks.join("; ")}.`, `Not shown: ${limits.join("; ")}.`];
}
