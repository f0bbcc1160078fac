package dev.fluo.kms;

import com.google.protobuf.ByteString;
import dev.fluo.kms.v1.AnyValue;
import dev.fluo.kms.v1.InstrumentationScope;
import dev.fluo.kms.v1.KeyValue;
import dev.fluo.kms.v1.Resource;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.Span;
import java.util.concurrent.ThreadLocalRandom;

/** Spans for tests. */
final class Spans {
  private Spans() {}

  /** Returns {@code count} good spans of one resource and scope. */
  static ResourceSpans of(int count) {
    ScopeSpans.Builder scope = ScopeSpans.newBuilder().setScope(InstrumentationScope.newBuilder().setName("test"));
    for (int i = 0; i < count; i++) {
      scope.addSpans(span("s-" + i));
    }
    return ResourceSpans.newBuilder()
        .setResource(Resource.newBuilder().addAttributes(attribute("service.name", "test")))
        .addScopeSpans(scope)
        .build();
  }

  static Span span(String name) {
    return Span.newBuilder().setTraceId(id(16)).setSpanId(id(8)).setName(name).build();
  }

  /** Returns a span that the service refuses: it has a key twice. */
  static Span bad() {
    return span("bad").toBuilder().addAttributes(attribute("a", "1")).addAttributes(attribute("a", "2")).build();
  }

  static KeyValue attribute(String key, String value) {
    return KeyValue.newBuilder().setKey(key).setValue(AnyValue.newBuilder().setStringValue(value)).build();
  }

  private static ByteString id(int bytes) {
    byte[] id = new byte[bytes];
    ThreadLocalRandom.current().nextBytes(id);
    id[0] |= 1;
    return ByteString.copyFrom(id);
  }
}
