package dev.fluo.kms.testing;

import io.grpc.Status;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A reason of the service's, and the status that it comes with.
 *
 * @param name in the ErrorInfo
 * @param code number of gRPC's status
 * @param retryAfter the delay of RetryInfo; empty where trying again is no use
 * @param pushback the trailer {@code grpc-retry-pushback-ms}; empty where the status has none
 */
record Reason(String name, int code, Optional<Duration> retryAfter, Optional<String> pushback) {
  private static final Map<String, Reason> ALL = new LinkedHashMap<>();

  static {
    add(Status.Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", "CIPHERTEXT_REJECTED");
    add(Status.Code.UNAUTHENTICATED, "UNAUTHENTICATED", "CREDENTIAL_EXPIRED");
    add(Status.Code.PERMISSION_DENIED, "PERMISSION_DENIED");
    add(Status.Code.NOT_FOUND, "NOT_FOUND");
    add(Status.Code.FAILED_PRECONDITION, "KEY_UNUSABLE", "PROVIDER_DENIED", "CLOCKS_DISAGREE");
    add(Status.Code.ABORTED, "CONFLICT", "LEASE_LOST");
    add(Status.Code.ALREADY_EXISTS, "REQUEST_ID_REUSED");
    add(Status.Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE");
    add(Status.Code.RESOURCE_EXHAUSTED, 500, "OVERLOADED");
    add(Status.Code.RESOURCE_EXHAUSTED, 1000, "RATE_LIMITED");
    add(Status.Code.UNAVAILABLE, 5000, "ISSUER_UNAVAILABLE");
    add(Status.Code.UNAVAILABLE, 1000, "PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE", "AUDIT_UNAVAILABLE");
    add(Status.Code.UNAVAILABLE, 100, "DRAINING", "IDLE");
    add(Status.Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
    add(Status.Code.CANCELLED, "CANCELLED");
    add(Status.Code.DATA_LOSS, "DATA_LOSS", "ROLLBACK_SUSPECTED", "HEADS_MISSING");
    add(Status.Code.UNIMPLEMENTED, "UNIMPLEMENTED");
    add(Status.Code.INTERNAL, "INTERNAL");
  }

  private static void add(Status.Code code, String... names) {
    add(code, Optional.empty(), names);
  }

  private static void add(Status.Code code, int retryMs, String... names) {
    add(code, Optional.of(Duration.ofMillis(retryMs)), names);
  }

  /** A client that repeats RESOURCE_EXHAUSTED is told when, or by -1 that it never helps. */
  private static void add(Status.Code code, Optional<Duration> retryAfter, String... names) {
    Optional<String> pushback =
        code == Status.Code.RESOURCE_EXHAUSTED
            ? Optional.of(retryAfter.map(delay -> Long.toString(delay.toMillis())).orElse("-1"))
            : Optional.empty();
    for (String name : names) {
      ALL.put(name, new Reason(name, code.value(), retryAfter, pushback));
    }
  }

  /** @throws IllegalArgumentException if the service has no such reason; it lists them */
  static Reason of(String name) {
    Reason reason = ALL.get(name);
    if (reason == null) {
      throw new IllegalArgumentException("no reason " + name + "; there are " + String.join(", ", ALL.keySet()));
    }
    return reason;
  }
}
