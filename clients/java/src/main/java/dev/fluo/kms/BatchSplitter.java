package dev.fluo.kms;

import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.Span;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * Cuts spans into batches, in order, well below what the service takes (10,000 spans and 4 MiB): small batches are
 * answered sooner, and less is sent again where a stream breaks.
 */
final class BatchSplitter {
  private static final int MOST_SPANS = 1_000;
  private static final int MOST_BYTES = 1024 * 1024;

  /** Tags and lengths around a span, a scope and a resource. */
  private static final int FRAME_BYTES = 8;

  private final SignSpansRequest stream;
  private final List<SpanBatch> batches = new ArrayList<>();
  private SignSpansRequest.Builder batch;
  private ResourceSpans.Builder resource;
  private ScopeSpans.Builder scope;
  private int spans;
  private int bytes;

  /** @param stream what each request of the stream has */
  BatchSplitter(SignSpansRequest stream) {
    this.stream = stream;
    begin();
  }

  List<SpanBatch> split(List<ResourceSpans> all) {
    for (ResourceSpans each : all) {
      ResourceSpans.Builder frame = each.toBuilder().clearScopeSpans();
      int frameBytes = FRAME_BYTES + frame.build().getSerializedSize();
      resource = null;
      for (ScopeSpans inner : each.getScopeSpansList()) {
        ScopeSpans.Builder innerFrame = inner.toBuilder().clearSpans();
        int innerBytes = FRAME_BYTES + innerFrame.build().getSerializedSize();
        closeScope();
        for (Span span : inner.getSpansList()) {
          add(span, frame, frameBytes, innerFrame, innerBytes);
        }
      }
      closeResource();
    }
    end();
    return batches;
  }

  private void add(Span span, ResourceSpans.Builder of, int ofBytes, ScopeSpans.Builder in, int inBytes) {
    int spanBytes = FRAME_BYTES + span.getSerializedSize();
    int added = spanBytes + (resource == null ? ofBytes : 0) + (scope == null ? inBytes : 0);
    if (spans == MOST_SPANS || spans > 0 && bytes + added > MOST_BYTES) {
      end();
      added = spanBytes + ofBytes + inBytes;
    }
    if (resource == null) {
      resource = of.clone();
    }
    if (scope == null) {
      scope = in.clone();
    }
    scope.addSpans(span);
    spans++;
    bytes += added;
  }

  private void closeScope() {
    if (scope != null) {
      resource.addScopeSpans(scope);
      scope = null;
    }
  }

  private void closeResource() {
    closeScope();
    if (resource != null) {
      batch.addResourceSpans(resource);
      resource = null;
    }
  }

  private void begin() {
    batch = stream.toBuilder().setRequestId(UUID.randomUUID().toString());
    spans = 0;
    bytes = 0;
  }

  private void end() {
    closeResource();
    if (spans > 0) {
      batches.add(new SpanBatch(batch.build(), spans));
    }
    begin();
  }
}
