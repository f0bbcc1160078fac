package dev.fluo.kms.verify;

/** Says why logs cannot be verified as asked: by these keys, these checkpoints, or from and to these sizes. */
public final class LogException extends RuntimeException {
  private static final long serialVersionUID = 1;

  LogException(String message) {
    super(message);
  }
}
