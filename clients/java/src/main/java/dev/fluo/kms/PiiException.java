package dev.fluo.kms;

import io.grpc.Status;
import java.util.List;
import java.util.stream.Collectors;

/** Says which fields of a record could not be encrypted or decrypted, and why. Never their values. */
public final class PiiException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final transient List<Field> fields;

  /**
   * A field that failed.
   *
   * @param name as its mark has it
   * @param code why
   * @param message what is wrong and what to do
   */
  public record Field(String name, Status.Code code, String message) {}

  PiiException(List<Field> fields) {
    super(
        fields.stream()
            .map(field -> field.name() + " (" + field.code() + "): " + field.message())
            .collect(Collectors.joining("; ")));
    this.fields = List.copyOf(fields);
  }

  /** Returns each field that failed. */
  public List<Field> fields() {
    return fields;
  }
}
