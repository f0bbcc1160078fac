package dev.fluo.kms.verify;

/** Says that a span cannot be signed: which field is wrong, and how. Never its value. */
public final class MalformedSpanException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String field;
  private final String description;

  MalformedSpanException(Malformed fault) {
    super(fault.getMessage(), fault);
    this.field = fault.path();
    this.description = fault.text();
  }

  /** Returns the field's path, such as {@code span.attributes[3].key}. */
  public String field() {
    return field;
  }

  /** Returns what is wrong and what to do. */
  public String description() {
    return description;
  }
}
