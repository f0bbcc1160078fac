/**
 * The facts that a verification establishes, as its report states them. Two verifiers make them, the service's own and that of the page
 * `fluo-verify.html`, from the same files alike. Times are RFC 3339 in UTC with milliseconds.
 */

export interface Facts {
  /** The files that were given, in this order: spans, keys, checkpoints. */
  exhibits: readonly Exhibit[];
  asked: Asked;
  spans: SpanFacts;
  /** Ordered by their first span in the file; empty unless logs were checked. */
  logs: readonly LogFacts[];
  /** Ordered as in the key set: with verifier keys given, those alone that are trusted. */
  keys: readonly KeyFacts[];
  /** Keys of kinds that this release cannot use. */
  keysPassedOver: number;
  /** Handovers in the key set that hold: both keys signed, and the entry is in the log. */
  handovers: readonly HandoverFacts[];
}

export interface Exhibit {
  role: "spans" | "keys" | "checkpoints";
  /** The file's name, as it was given. */
  name: string;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

/** The question, as somebody put it. */
export interface Asked {
  /** Whether completeness was asked, or each span for itself. */
  log: boolean;
  tenant: string | undefined;
  /** Verifier keys that the person who asks trusts, from elsewhere. */
  vkeys: readonly string[];
  from: number | undefined;
  to: number | undefined;
  anyOrder: boolean;
  /** Who kept the checkpoints, in the words of the person who asks. */
  keptBy: string | undefined;
}

export interface SpanFacts {
  total: number;
  verified: number;
  /** Verified spans with a signature of their own; the other verified ones have a log proof. */
  signedApart: number;
  /** Tenants that the verified spans name, sorted, each with their number. */
  tenants: readonly { tenant: string; spans: number }[];
  /** The earliest and the latest time at which a verified span says it was signed. */
  period: Period | undefined;
  /** Spans that do not verify, in the order of the file. */
  failures: readonly SpanFailure[];
}

export interface Period {
  first: string;
  last: string;
}

export interface SpanFailure {
  /** Position in the file, from 1. */
  position: number;
  /** `<trace id>/<span id>`; undefined where the span cannot be read. */
  span: string | undefined;
  /** The place in a log that it claims. */
  place: { origin: string; entry: number } | undefined;
  reason: FailureReason;
  /** Words for people, which may differ between the two verifiers. */
  message: string;
}

export type FailureReason =
  | "SIGNATURE_MISMATCH"
  | "SPAN_MISMATCH"
  | "UNKNOWN_KEY"
  | "KEY_STATE"
  | "KEY_COMPROMISED"
  | "PROOF_INVALID"
  | "MALFORMED"
  | "UNSIGNED";

export interface LogFacts {
  /** `<issuer>/<tenant>`, or `<issuer>/<tenant>/<n>` after a restore. */
  origin: string;
  /** The entries that were checked: from this index to before `to`. */
  from: number;
  to: number;
  /** Entries among those that are spans, handovers, and handovers that were announced and not used. */
  spans: number;
  handovers: number;
  announced: number;
  /** The number of entries at which the log ended, if a backup was restored or a loss accepted. */
  endedAt: number | undefined;
  /** The log that ended before this one began. */
  follows: { origin: string; endedAt: number } | undefined;
  /** When the verified spans among the checked entries say they were signed. */
  period: Period | undefined;
  /** Kept checkpoints of this log. */
  checkpoints: readonly CheckpointFacts[];
  findings: readonly FindingFacts[];
}

export interface CheckpointFacts {
  /** The exhibit that it is in. */
  name: string;
  size: number;
  /** Undefined where the spans do not reach it, so that it was not compared. */
  agrees: boolean | undefined;
  /** The checked entries that it is shown to be of; empty unless it agrees. Beside a gap that may not be all before its end. */
  covered: readonly EntryRange[];
  /** The latest time at which a verified span among these says it was signed. */
  covers: string | undefined;
}

/** The entries from an index to before another. */
export interface EntryRange {
  from: number;
  to: number;
}

export interface FindingFacts {
  what:
    | "missing"
    | "repeated"
    | "reordered"
    | "rewritten"
    | "compromised"
    | "changed"
    | "foreign"
    | "unproven"
    | "unreadable";
  /** Index of the first entry concerned; undefined for a span that claims no place. */
  entry: number | undefined;
  /** How many entries are concerned. */
  count: number;
  /** `<trace id>/<span id>` of the first span concerned. */
  span: string | undefined;
  /** The spans on the two sides of a gap, where there are some. */
  after: Neighbour | undefined;
  before: Neighbour | undefined;
  message: string;
}

export interface Neighbour {
  /** `<trace id>/<span id>` */
  span: string;
  signedAt: string | undefined;
}

export interface KeyFacts {
  keyId: string;
  /** SHA-256 of the 32 bytes of the public key, lower-case hex: the digest by which a handover names it. */
  fingerprint: string;
  state: "PENDING" | "ACTIVE" | "RETIRED" | "DISABLED" | "COMPROMISED" | "DESTROY_SCHEDULED" | "DESTROYED";
  /** Undefined where that side has no bound. */
  validFrom: string | undefined;
  validUntil: string | undefined;
  compromisedAt: string | undefined;
  /** How many spans verify by it. */
  spans: number;
  /**
   * Who says that the key is the tenant's: the person who asks, by a verifier key; a trusted key, by a handover; or the keys file alone.
   */
  vouchedBy: { by: "asker" } | { by: "handover"; fromKeyId: string; origin: string; entry: number } | { by: "file" };
}

export interface HandoverFacts {
  origin: string;
  entry: number;
  fromKeyId: string;
  toKeyId: string;
}
