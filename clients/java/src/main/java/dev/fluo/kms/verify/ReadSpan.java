package dev.fluo.kms.verify;

/**
 * A span as it is signed.
 *
 * @param traceId 32 lower-case hex digits
 * @param spanId 16 lower-case hex digits
 * @param canonical RFC 8785 text, over whose UTF-8 bytes the statement's digest is
 * @param integrity the signature's attributes, as they are on the span
 * @param lacks what is not in the canonical form, because it was not given, or empty: "", "resource", "scope" or
 *     "resource or scope"
 */
record ReadSpan(String traceId, String spanId, String canonical, Integrity integrity, String lacks) {
  /** SHA-256 of the canonical form, in hex. */
  String digest() {
    return Sha256.hex(canonical);
  }
}
