package dev.fluo.kms;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the service says of an error beside its code.
 *
 * @param reason its stable word, such as {@code KEY_NOT_FOUND}; empty where there is none
 * @param fields which fields of the request are wrong, and how they must be; empty where none is
 * @param retryAfter when to try again; empty where the service does not say
 */
public record ErrorDetails(String reason, List<FieldViolation> fields, Optional<Duration> retryAfter) {
  private static final ErrorDetails NONE = new ErrorDetails("", List.of(), Optional.empty());

  /**
   * A field of a request that is wrong.
   *
   * @param field its path, such as {@code fields[3].token}
   * @param description what is wrong and what to do, without the value
   */
  public record FieldViolation(String field, String description) {}

  /**
   * Reads the details of an error, or of what caused it. Never throws: an error without details, and null, have none.
   *
   * @param error of a call, as it was thrown or given to an observer
   */
  public static ErrorDetails of(Throwable error) {
    try {
      com.google.rpc.Status status = error == null ? null : StatusProto.fromThrowable(error);
      return status == null ? NONE : of(status);
    } catch (RuntimeException e) {
      return NONE;
    }
  }

  private static ErrorDetails of(com.google.rpc.Status status) {
    String reason = "";
    List<FieldViolation> fields = new ArrayList<>();
    Optional<Duration> retryAfter = Optional.empty();
    for (Any detail : status.getDetailsList()) {
      try {
        if (detail.is(ErrorInfo.class)) {
          reason = detail.unpack(ErrorInfo.class).getReason();
        } else if (detail.is(BadRequest.class)) {
          for (BadRequest.FieldViolation each : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            fields.add(new FieldViolation(each.getField(), each.getDescription()));
          }
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Optional.of(Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
        }
      } catch (InvalidProtocolBufferException | ArithmeticException e) {
        // One detail that cannot be read takes nothing from the others.
      }
    }
    return new ErrorDetails(reason, List.copyOf(fields), retryAfter);
  }
}
