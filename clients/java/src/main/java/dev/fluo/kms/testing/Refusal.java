package dev.fluo.kms.testing;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;

/** Refuses a call, or an item of one, as the service does. */
final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String DOMAIN = "kms.fluo.dev";
  private static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);
  private static final int MOST_VIOLATIONS = 16;

  private final transient Reason reason;
  private final transient List<Violation> violations;

  /** A field that is wrong, and how it must be. */
  record Violation(String field, String description) {}

  private Refusal(Reason reason, String message, List<Violation> violations) {
    super(message, null, false, false);
    this.reason = reason;
    this.violations = violations;
  }

  static Refusal of(String reason, String message) {
    return new Refusal(Reason.of(reason), message, List.of());
  }

  static Refusal of(Reason reason) {
    return new Refusal(reason, "the fake was told to refuse with " + reason.name(), List.of());
  }

  /** The one answer to every failure of authenticity. */
  static Refusal ciphertextRejected() {
    return of("CIPHERTEXT_REJECTED", "ciphertext rejected");
  }

  static Refusal invalidField(String field, String description) {
    return invalid(List.of(new Violation(field, description)));
  }

  /** @param violations at least one */
  static Refusal invalid(List<Violation> violations) {
    Violation first = violations.get(0);
    return new Refusal(
        Reason.of("INVALID_ARGUMENT"),
        first.field() + ": " + first.description(),
        violations.subList(0, Math.min(violations.size(), MOST_VIOLATIONS)));
  }

  /** Number of the status, for an item's error. */
  int code() {
    return reason.code();
  }

  /** The status with google.rpc's details, and the trailer that says when to try again. */
  StatusRuntimeException asException() {
    com.google.rpc.Status.Builder status =
        com.google.rpc.Status.newBuilder().setCode(reason.code()).setMessage(getMessage());
    status.addDetails(Any.pack(ErrorInfo.newBuilder().setReason(reason.name()).setDomain(DOMAIN).build()));
    if (!violations.isEmpty()) {
      BadRequest.Builder request = BadRequest.newBuilder();
      for (Violation each : violations) {
        request.addFieldViolationsBuilder().setField(each.field()).setDescription(each.description());
      }
      status.addDetails(Any.pack(request.build()));
    }
    reason
        .retryAfter()
        .ifPresent(
            delay -> {
              Duration.Builder wait = Duration.newBuilder().setSeconds(delay.getSeconds()).setNanos(delay.getNano());
              status.addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(wait).build()));
            });
    Metadata trailers = new Metadata();
    reason.pushback().ifPresent(wait -> trailers.put(PUSHBACK, wait));
    return StatusProto.toStatusRuntimeException(status.build(), trailers);
  }
}
