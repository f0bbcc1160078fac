package dev.fluo.kms.verify;

import dev.fluo.kms.verify.MessageReader.Extent;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * One OTLP ResourceSpans message, span by span. Its frame is read first, since a resource or a scope may come after its
 * spans. A fault in the frame refuses the whole, because then nobody can tell how many spans there were; a fault in a
 * resource, a scope or a span stands in the place of each span that it touches.
 */
final class ResourceSpansReader {
  /** Takes each span in order, or why it cannot be read. */
  interface Spans {
    void span(ReadSpan span);

    void unreadable(Malformed why);
  }

  /** What a part is, or why it cannot be read. */
  private record Outcome<T>(T value, Malformed fault) {}

  private ResourceSpansReader() {}

  static void read(Extent at, Spans spans) {
    Map<String, Object> frame;
    try {
      frame = MessageReader.read(Otlp.RESOURCE_SPANS, at);
    } catch (Malformed e) {
      spans.unreadable(e.within("resource_spans"));
      return;
    }
    Outcome<Map<String, Object>> resource = outcome(() -> resource((Extent) frame.get("resource")));
    for (Object each : (List<?>) frame.getOrDefault("scopeSpans", List.of())) {
      Map<String, Object> scopeSpans = MessageReader.object(each);
      Outcome<Map<String, Object>> scope = outcome(() -> scope((Extent) scopeSpans.get("scope")));
      Malformed fault = resource.fault != null ? resource.fault : scope.fault;
      for (Object span : (List<?>) scopeSpans.getOrDefault("spans", List.of())) {
        Outcome<ReadSpan> read =
            fault != null
                ? new Outcome<>(null, fault)
                : outcome(() -> span((Extent) span, resource.value, scope.value));
        if (read.fault != null) {
          spans.unreadable(read.fault);
        } else {
          spans.span(read.value);
        }
      }
    }
  }

  /** Reads a span with its resource and scope. Throws Malformed that names the part. */
  static ReadSpan read(byte[] resource, byte[] scope, byte[] span) {
    return span(new Extent(span), resource(new Extent(resource)), scope(new Extent(scope)));
  }

  private static Map<String, Object> resource(Extent at) {
    return within("resource", () -> at == null ? Map.of() : MessageReader.read(Otlp.RESOURCE, at));
  }

  private static Map<String, Object> scope(Extent at) {
    return within("scope", () -> at == null ? Map.of() : MessageReader.read(Otlp.SCOPE, at));
  }

  private static ReadSpan span(Extent at, Map<String, Object> resource, Map<String, Object> scope) {
    return within("span", () -> ReadSpan.of(at, resource, scope));
  }

  private static <T> T within(String part, Supplier<T> read) {
    try {
      return read.get();
    } catch (Malformed e) {
      throw e.within(part);
    }
  }

  private static <T> Outcome<T> outcome(Supplier<T> read) {
    try {
      return new Outcome<>(read.get(), null);
    } catch (Malformed e) {
      return new Outcome<>(null, e);
    }
  }
}
