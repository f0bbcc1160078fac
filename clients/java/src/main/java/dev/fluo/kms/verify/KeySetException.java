package dev.fluo.kms.verify;

/** Says which member of a key set is wrong, and how it must be. */
public final class KeySetException extends RuntimeException {
  private static final long serialVersionUID = 1;

  KeySetException(String message) {
    super(message);
  }
}
