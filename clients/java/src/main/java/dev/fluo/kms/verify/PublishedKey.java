package dev.fluo.kms.verify;

import java.time.Instant;

/**
 * A key as it is published.
 *
 * @param publicKey 32 bytes, Ed25519
 * @param compromisedAt null unless it was marked as compromised, whatever state it is in now
 * @param validFrom null: without a lower bound
 * @param validUntil null: without an upper bound
 */
record PublishedKey(
    String id, byte[] publicKey, KeyState state, Instant compromisedAt, Instant validFrom, Instant validUntil) {
  /** Replicas' clocks may differ by this much, so a signature may be that much older than its key. */
  private static final long CLOCK_TOLERANCE_SECONDS = 60;

  /** What the key's state alone makes of a signature that holds: OK, KEY_STATE or KEY_COMPROMISED. */
  Reason reason() {
    return switch (state) {
      case PENDING -> Reason.KEY_STATE;
      case COMPROMISED -> Reason.KEY_COMPROMISED;
      default -> compromisedAt == null ? Reason.OK : Reason.KEY_COMPROMISED;
    };
  }

  boolean wasValid(Instant at) {
    return (validFrom == null || !at.isBefore(validFrom.minusSeconds(CLOCK_TOLERANCE_SECONDS)))
        && (validUntil == null || !at.isAfter(validUntil));
  }
}
