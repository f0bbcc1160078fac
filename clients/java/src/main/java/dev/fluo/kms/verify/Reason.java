package dev.fluo.kms.verify;

/** Why a span verifies or does not: the words of {@code fluo.kms.v1.VerifyReason}, without their prefix. */
public enum Reason {
  /** The span is as it was when the tenant's key signed it. */
  OK(""),
  /** The signature does not match: the span, its attributes or the signature were changed. */
  SIGNATURE_MISMATCH("the span or its signature was altered"),
  /** The statement is authentic, but says something else about this span. */
  SPAN_MISMATCH("the statement is about another span"),
  /** The tenant has no such key. */
  UNKNOWN_KEY("the tenant has no such key"),
  /** The key's state, or its time of validity, does not allow this signature. */
  KEY_STATE("the key was not in use when the span says it was signed"),
  /** The key is compromised: its individual signatures prove nothing any more. */
  KEY_COMPROMISED("the key is marked compromised"),
  /** The log proof does not hold. */
  PROOF_INVALID("the log proof does not hold: the span or its proof was altered"),
  /** There is no evidence, or span or evidence cannot be read. */
  MALFORMED("the span carries no signature, or not in its form");

  private final String explanation;

  Reason(String explanation) {
    this.explanation = explanation;
  }

  /** Returns what the reason says to people; empty for OK. The text may change. */
  public String explanation() {
    return explanation;
  }
}
