package dev.fluo.kms.otel;

/** What becomes of a span that the service refuses to sign, because it is bad. */
public enum OnRefused {
  /** It is delivered without a signature, with {@code fluo.kms.unsigned.reason}, and a warning is logged. */
  FORWARD,
  /** It is lost, as {@link LossCause#REJECTED}. */
  DROP
}
