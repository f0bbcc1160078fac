/** What is said of a span, and the keys it is said by. */

export type Reason =
  | "OK"
  | "SIGNATURE_MISMATCH"
  | "SPAN_MISMATCH"
  | "UNKNOWN_KEY"
  | "KEY_STATE"
  | "KEY_COMPROMISED"
  | "PROOF_INVALID"
  | "MALFORMED";

/** What each state of a key means for a signature of it that holds. A disabled key's still verifies; `keyState` flags it. */
const reasonOfState = {
  PENDING: "KEY_STATE",
  ACTIVE: "OK",
  RETIRED: "OK",
  DISABLED: "OK",
  COMPROMISED: "KEY_COMPROMISED",
  DESTROY_SCHEDULED: "OK",
  DESTROYED: "OK",
} as const satisfies Record<string, Reason>;

/** A key as it is published. */
export interface VerifyingKey {
  publicKey: Uint8Array;
  state: keyof typeof reasonOfState;
  /** Set where the key was marked as compromised, whatever state it is in now. */
  compromisedAt?: Date | undefined;
  /** Undefined: unbounded on that side. */
  validFrom?: Date | undefined;
  validUntil?: Date | undefined;
}

export interface Verdict {
  verified: boolean;
  reason: Reason;
  keyId?: string;
  keyState?: VerifyingKey["state"];
  /** In the canonical form, however the span spells it. */
  signedAt?: string;
  /** What is wrong, where more is known than the reason says. */
  message?: string;
}

/** What each reason says to people, where nothing more is known. */
export const explanations: Readonly<Record<Reason, string>> = {
  OK: "",
  SIGNATURE_MISMATCH: "the span or its signature was altered",
  SPAN_MISMATCH: "the statement is about another span",
  UNKNOWN_KEY: "the tenant has no such key",
  KEY_STATE: "the key was not in use when the span says it was signed",
  KEY_COMPROMISED: "the key is marked compromised",
  PROOF_INVALID: "the log proof does not hold: the span or its proof was altered",
  MALFORMED: "the span carries no signature, or not in its form",
};

export function refusal(reason: Reason, about: Partial<Pick<Verdict, "keyId" | "signedAt" | "message">> = {}): Verdict {
  return { verified: false, reason, ...about };
}

/** Explains a span that differs from what was signed. One that was signed with more than is given now differs, too. */
export function mismatch(reason: "SIGNATURE_MISMATCH" | "SPAN_MISMATCH" | "PROOF_INVALID", lacks: string): string {
  const altered = explanations[reason];
  return lacks === "" ? altered : `${altered}; if it was signed with a ${lacks}, give that too, as it was then`;
}

/** What the state of a key alone makes of a signature of it that holds: OK, KEY_STATE or KEY_COMPROMISED. */
export function reasonOfKey({ state, compromisedAt }: VerifyingKey): Reason {
  const reason = reasonOfState[state];
  return reason === "OK" && compromisedAt !== undefined ? "KEY_COMPROMISED" : reason;
}
