package dev.fluo.kms;

import io.grpc.Status;

/** What the end of a stream of SignSpans means for the batches that it did not answer. */
enum StreamEnd {
  /** Another stream may take them, after a while. */
  PASSES,
  /** Another stream may take them with a credential that is asked for anew. */
  NEEDS_CREDENTIAL,
  /** The first of them is at fault, or whoever sends it: it would be refused again. */
  REFUSES_BATCH;

  static StreamEnd of(Status how, ErrorDetails details) {
    return switch (how.getCode()) {
      case OK, UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED -> PASSES;
      case UNAUTHENTICATED -> NEEDS_CREDENTIAL;
      // gRPC's own words for a connection that was cut. The service's errors have a reason.
      case INTERNAL, UNKNOWN, CANCELLED -> details.reason().isEmpty() ? PASSES : REFUSES_BATCH;
      default -> REFUSES_BATCH;
    };
  }
}
