/** What is said of a span, and the keys it is said by. */
import type { Checkpoint } from "./log-proof.ts";
import type { NoteKey } from "./signed-note.ts";

/** Why a span verifies or does not: VerifyReason of the service, without its prefix. */
export type Reason =
  | "OK"
  | "SIGNATURE_MISMATCH"
  | "SPAN_MISMATCH"
  | "UNKNOWN_KEY"
  | "KEY_STATE"
  | "KEY_COMPROMISED"
  | "PROOF_INVALID"
  | "MALFORMED";

/** State of a key: KeyState of the service, without its prefix. */
export type KeyState =
  | "PENDING"
  | "ACTIVE"
  | "RETIRED"
  | "DISABLED"
  | "COMPROMISED"
  | "DESTROY_SCHEDULED"
  | "DESTROYED";

/** What there is to say of one span. */
export interface Verdict {
  /** Whether the span is as it was when the tenant's key signed it. */
  verified: boolean;
  reason: Reason;
  /** True for a span without any evidence, which is MALFORMED. */
  unsigned?: true;
  /** The tenant that the evidence names; missing if it cannot be read. */
  tenant?: string;
  /** The key that the evidence names, 32 lower-case hex digits. */
  keyId?: string;
  /** State of that key, where the key set has it. */
  keyState?: KeyState;
  /** When the evidence says it was signed: RFC 3339 in UTC with milliseconds, however the span spells it. */
  signedAt?: string;
  /** 32 lower-case hex digits; missing if the span cannot be read. */
  traceId?: string;
  /** 16 lower-case hex digits. */
  spanId?: string;
  /** Origin of the log in which the evidence places the span. */
  log?: string;
  /** Index of the span's entry there. */
  leafIndex?: number;
  /** What is wrong, for people. The text may change. */
  message?: string;
}

/** A key as it is published. */
export interface VerifyingKey {
  keyId: string;
  publicKey: Uint8Array;
  state: KeyState;
  /** Milliseconds since 1970; undefined where that side has no bound. */
  validFrom: number | undefined;
  validUntil: number | undefined;
  /** Set where the key was marked as compromised, whatever its state is now. */
  compromisedAt: number | undefined;
}

/** A key by the name of one of its tenant's logs. */
export interface LogKey extends VerifyingKey, NoteKey {
  /** How far a log went when the key was marked as compromised. */
  compromisedLog: Checkpoint | undefined;
}

/** What each reason says to people, where nothing more is known. */
export const explanations: Readonly<Record<Reason, string>> = {
  OK: "",
  SIGNATURE_MISMATCH: "the span or its signature was altered",
  SPAN_MISMATCH: "the statement is about another span",
  UNKNOWN_KEY: "no such key of this tenant in the keys file",
  KEY_STATE: "the key was not in use when the span says it was signed",
  KEY_COMPROMISED: "the key is marked compromised",
  PROOF_INVALID: "the log proof does not hold: the span or its proof was altered",
  MALFORMED: "the span carries no signature, or not in its form",
};

export function refusal(reason: Reason, about: Partial<Verdict> = {}): Verdict {
  return { verified: false, reason, ...about };
}

/** Explains a span that differs. One that was signed with more than is given now differs, too. */
export function mismatch(reason: "SIGNATURE_MISMATCH" | "SPAN_MISMATCH" | "PROOF_INVALID", lacks: string): string {
  const altered = explanations[reason];
  return lacks === "" ? altered : `${altered}; if it was signed with a ${lacks}, give that too, as it was then`;
}

/** What the state of a key alone makes of a signature of it that holds. A disabled key's still verifies. */
export function reasonOfKey({ state, compromisedAt }: VerifyingKey): "OK" | "KEY_STATE" | "KEY_COMPROMISED" {
  if (state === "PENDING") return "KEY_STATE";
  return state === "COMPROMISED" || compromisedAt !== undefined ? "KEY_COMPROMISED" : "OK";
}
