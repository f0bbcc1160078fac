package dev.fluo.kms.verify;

/**
 * An entry of a log whose own proof holds: a span, or a handover.
 *
 * @param isTrusted whether a key signed the proof's head that is not compromised. Otherwise the proof is worth nothing
 *     but with another head's
 * @param recordedSize where only compromised keys signed the head: how far the log went when they were marked. What
 *     lies there may be proven by others
 * @param name {@code <trace id>/<span id>}; null for a handover
 */
record LogEntry(TreeProof proof, byte[] leaf, boolean isTrusted, long recordedSize, String name) {
  LogEntry named(String span, boolean isVerified) {
    return new LogEntry(proof, leaf, isVerified, recordedSize, span);
  }

  long index() {
    return proof.index();
  }

  /** The head in which the entry is proven. */
  Checkpoint head() {
    return proof.checkpoint();
  }

  /** Returns the hash of the complete subtree of a level that the entry is in. */
  byte[] subtree(int level) {
    return Merkle.subtree(leaf, index(), proof.path(), level);
  }
}
