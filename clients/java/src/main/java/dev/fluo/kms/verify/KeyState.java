package dev.fluo.kms.verify;

/** State of a key, in the words of a key set. */
public enum KeyState {
  /** Stored but never used: nothing of it verifies. */
  PENDING,
  /** Signs and verifies. */
  ACTIVE,
  /** Verifies. */
  RETIRED,
  /** Verifies, until it is enabled again. */
  DISABLED,
  /** Known by somebody who must not know it: its individual signatures prove nothing. */
  COMPROMISED,
  /** Verifies; is to be destroyed. */
  DESTROY_SCHEDULED,
  /** Its secret is erased; its public half verifies. */
  DESTROYED
}
