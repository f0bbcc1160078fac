package dev.fluo.kms.verify;

/** What to check a span against, in the place of the attributes on it. */
public sealed interface Evidence {
  /**
   * A statement and its signature, as SignSpan returned them.
   *
   * @param statement the exact bytes
   * @param signature 64 bytes
   */
  record SignedStatement(byte[] statement, byte[] signature) implements Evidence {}

  /**
   * A span's proof of presence in its tenant's log.
   *
   * @param statement the log's entry, the exact bytes
   * @param proof C2SP tlog-proof text
   */
  record LogProof(byte[] statement, String proof) implements Evidence {}
}
