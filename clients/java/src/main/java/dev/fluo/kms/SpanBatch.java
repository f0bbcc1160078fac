package dev.fluo.kms;

import dev.fluo.kms.v1.SignSpansRequest;

/**
 * Spans that go to the service as one message, under a name (request_id) of their own: sent again, the batch gets the
 * places in the log that it may have already. Made by {@link SpanSigner#split}.
 */
public final class SpanBatch {
  private final SignSpansRequest request;
  private final int spans;
  private Age age;

  SpanBatch(SignSpansRequest request, int spans) {
    this.request = request;
    this.spans = spans;
  }

  /** Returns how many spans it has. */
  public int spans() {
    return spans;
  }

  /** Returns how many bytes its message has. */
  public int bytes() {
    return request.getSerializedSize();
  }

  SignSpansRequest request() {
    return request;
  }

  /** Returns the time since it was sent first; null before. The signer's lock guards it. */
  Age age() {
    return age;
  }

  void sentAt(Age now) {
    if (age == null) {
      age = now;
    }
  }
}
