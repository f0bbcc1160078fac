/** A key record: one version of a tenant's key for a purpose. */

export type Purpose = "data" | "signing";

export const purposes: readonly Purpose[] = ["data", "signing"];

export type KeyState =
  | "PENDING"
  | "ACTIVE"
  | "RETIRED"
  | "DISABLED"
  | "COMPROMISED"
  | "DESTROY_SCHEDULED"
  | "DESTROYED";

export interface KeyRecord {
  tenantId: string;
  purpose: Purpose;
  /** Counts 1, 2, 3 … per tenant and purpose; 0 while PENDING, because only an activated key takes a number. */
  version: number;
  /** 128 random bits, 32 lower-case hex digits, unique in the store. */
  keyId: string;
  state: KeyState;
  /** The provider and its key that made `wrapped`. */
  provider: string;
  providerKeyId: string;
  /** The 32-byte key or signing seed, encrypted by the provider under `recordContext` (keys/states.ts). */
  wrapped: Uint8Array;
  /** For `signing` the Ed25519 public key, 32 bytes; for `data` what tells the key from another, see keys/key-check.ts. */
  publicKey: Uint8Array;
  createdAt: Date;
  activatedAt: Date | undefined;
  retiredAt: Date | undefined;
  /** Set for good once the key is marked, in whatever state it is. */
  compromisedAt: Date | undefined;
  /** When its destruction is due by the wall clock; of a DESTROYED key, was. */
  destroyAt: Date | undefined;
  /** What decides with `destroyAt`; undefined if no destruction is scheduled, or if an earlier version scheduled it. */
  destroyWait: DestroyWait | undefined;
  /** The state before it was disabled, compromised or scheduled for destruction: of a key that was disabled, where EnableKey returns. */
  previousState: KeyState | undefined;
  /** Who wants it destroyed, where that takes two; undefined where nobody does, and where one was enough. */
  destruction: Destruction | undefined;
}

/** How long services must see time pass before a key is destroyed, whatever the wall clock says. */
export interface DestroyWait {
  /** The witnessed time (time-store.ts) when the destruction was scheduled, in milliseconds. */
  sinceMs: number;
  waitMs: number;
}

/** A destruction that takes two callers. */
export interface Destruction {
  /** Who asked for it. */
  by: string;
  /** What was asked for, until another caller has confirmed it. */
  request: DestructionRequest | undefined;
  /** Who confirmed it, which scheduled it. */
  confirmedBy: string | undefined;
}

export interface DestructionRequest {
  at: Date;
  /** The rule that let the caller ask; undefined where there are no rules. */
  rule: string | undefined;
  /** SHA-256 of the static token by which the caller asked, in lower-case hex; undefined if it was another credential. */
  token?: string | undefined;
  /** Days from the confirmation to the destruction. */
  days: number;
}
