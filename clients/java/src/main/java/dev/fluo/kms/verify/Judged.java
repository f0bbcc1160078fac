package dev.fluo.kms.verify;

import java.util.List;

/**
 * A span's verdict, and what else there is to say of it.
 *
 * @param isUnsigned whether the span has no evidence at all
 * @param place its place in a log; null unless it claims one
 */
record Judged(Verdict verdict, boolean isUnsigned, Place place) {
  /** @param signers the known keys that signed the proof's checkpoint; null where a signature does not hold */
  record Place(TreeProof proof, byte[] leaf, List<LogKey> signers) {}

  static Judged apart(Verdict verdict) {
    return new Judged(verdict, false, null);
  }

  static Judged unreadable(Malformed why) {
    return apart(Verdict.malformed(why.getMessage()));
  }

  Judged about(ReadSpan span) {
    return new Judged(verdict.about(span), span.integrity().isEmpty(), place);
  }

  /** {@code <trace id>/<span id>} */
  String name() {
    return verdict.traceId().orElse("-") + "/" + verdict.spanId().orElse("-");
  }

  /** The log in which it claims a place; empty where it claims none. */
  String origin() {
    return place == null ? "" : place.proof.checkpoint().origin();
  }
}
