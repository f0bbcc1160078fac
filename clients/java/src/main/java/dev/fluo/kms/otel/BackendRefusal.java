package dev.fluo.kms.otel;

import io.opentelemetry.sdk.common.export.GrpcResponse;
import io.opentelemetry.sdk.common.export.GrpcStatusCode;
import io.opentelemetry.sdk.common.export.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.Set;

/** Refusals of a backend that are final: OTLP forbids to send the same again. */
final class BackendRefusal {
  private static final Set<Integer> REPEATED = Set.of(429, 502, 503, 504);
  private static final int MAX_BODY_LENGTH = 500;

  private BackendRefusal() {}

  /**
   * Returns what the backend said if the failure of an export is a final refusal; null if it is not, or has no response.
   * The type of the failure is internal to OpenTelemetry; that of the response is not.
   */
  static String of(Throwable failure) {
    if (failure == null) {
      return null;
    }
    try {
      Object response = failure.getClass().getMethod("getResponse").invoke(failure);
      if (response instanceof HttpResponse http) {
        return of(http);
      }
      return response instanceof GrpcResponse grpc ? of(grpc) : null;
    } catch (ReflectiveOperationException | LinkageError e) {
      return null;
    }
  }

  private static String of(HttpResponse response) {
    if (REPEATED.contains(response.getStatusCode())) {
      return null;
    }
    String body = readable(response.getResponseBody());
    String status = (response.getStatusCode() + " " + response.getStatusMessage()).strip();
    return body.isEmpty() ? status : status + ": " + body;
  }

  /** RESOURCE_EXHAUSTED is never final here: the response does not tell whether the backend asks for another try. */
  private static String of(GrpcResponse response) {
    Set<GrpcStatusCode> repeated =
        EnumSet.of(
            GrpcStatusCode.CANCELLED,
            GrpcStatusCode.DEADLINE_EXCEEDED,
            GrpcStatusCode.RESOURCE_EXHAUSTED,
            GrpcStatusCode.ABORTED,
            GrpcStatusCode.OUT_OF_RANGE,
            GrpcStatusCode.UNAVAILABLE,
            GrpcStatusCode.DATA_LOSS);
    return repeated.contains(response.getStatusCode())
        ? null
        : response.getStatusCode() + ": " + response.getStatusDescription();
  }

  /** Returns the text in a body, and no more than 500 characters: OTLP's own bodies are protobuf. */
  private static String readable(byte[] body) {
    String text = new String(body, StandardCharsets.UTF_8).replaceAll("[\\p{C}\uFFFD]+", " ").strip();
    return text.substring(0, Math.min(text.length(), MAX_BODY_LENGTH));
  }
}
