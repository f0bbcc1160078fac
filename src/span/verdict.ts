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
  signedAt?: string;
}

export function refusal(reason: Reason, about: Pick<Verdict, "keyId" | "signedAt"> = {}): Verdict {
  return { verified: false, reason, ...about };
}

/** What the state of a key alone makes of a signature of it that holds: OK, KEY_STATE or KEY_COMPROMISED. */
export function reasonOfKey({ state, compromisedAt }: VerifyingKey): Reason {
  const reason = reasonOfState[state];
  return reason === "OK" && compromisedAt !== undefined ? "KEY_COMPROMISED" : reason;
}
