package dev.fluo.kms;

import dev.fluo.kms.v1.InstrumentationScope;
import dev.fluo.kms.v1.Resource;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.VerifySpanRequest;
import dev.fluo.kms.verify.Evidence;
import dev.fluo.kms.verify.KeySet;
import dev.fluo.kms.verify.Verdict;
import dev.fluo.kms.verify.Verifier;

/**
 * Verifies spans offline that are there as messages. It judges their bytes, as {@link Verifier} does: fields that a
 * message does not know survive in it, and are refused.
 */
public final class SpanVerifier {
  private final Verifier verifier;

  /** @param keys the tenant's keys */
  public SpanVerifier(KeySet keys) {
    this.verifier = new Verifier(keys);
  }

  /**
   * Verifies a span by the attributes on it.
   *
   * @param tenant who must have signed
   */
  public Verdict verify(String tenant, Resource resource, InstrumentationScope scope, Span span) {
    return verifier.verify(tenant, resource.toByteArray(), scope.toByteArray(), span.toByteArray());
  }

  /** Verifies what {@code VerifySpan} would be asked to verify, by the request's evidence if it has any. */
  public Verdict verify(VerifySpanRequest request) {
    return verifier.verify(
        request.getTenantId(),
        request.getResource().toByteArray(),
        request.getScope().toByteArray(),
        request.getSpan().toByteArray(),
        evidence(request));
  }

  /** Returns the evidence beside the span; null where there is none. */
  private static Evidence evidence(VerifySpanRequest request) {
    return switch (request.getEvidenceCase()) {
      case SIGNED_STATEMENT ->
          new Evidence.SignedStatement(
              request.getSignedStatement().getStatement().toByteArray(),
              request.getSignedStatement().getSignature().toByteArray());
      case LOG_PROOF ->
          new Evidence.LogProof(
              request.getLogProof().getStatement().toByteArray(), request.getLogProof().getProof());
      case EVIDENCE_NOT_SET -> null;
    };
  }
}
