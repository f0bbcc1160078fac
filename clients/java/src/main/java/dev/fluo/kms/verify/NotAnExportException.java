package dev.fluo.kms.verify;

/** Says that bytes are no OTLP trace export, neither in protobuf nor in JSON. */
public final class NotAnExportException extends RuntimeException {
  private static final long serialVersionUID = 1;

  NotAnExportException(String message) {
    super(message);
  }
}
