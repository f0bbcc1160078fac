package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * One OTLP ResourceSpans message, span by span. A first pass over its frame finds where all lies, since a resource or a
 * scope may come after its spans. A fault in the frame refuses the whole, because then nobody can tell how many spans
 * there were; a fault in a resource, a scope or a span stands in the place of each span that it touches.
 */
final class ResourceSpansReader {
  /** Takes each span in order, or why it cannot be read. */
  interface Spans {
    void span(ReadSpan span);

    void unreadable(Malformed why);
  }

  private record Extent(int start, int end) {}

  private record ScopeSpans(Extent scope, List<Extent> spans) {}

  private interface Part<T> {
    T read(WireReader wire, int end);
  }

  /** What a part is, or why it cannot be read. */
  private record Outcome<T>(T value, Malformed fault) {}

  private final WireReader wire;

  private ResourceSpansReader(byte[] bytes) {
    wire = new WireReader(bytes);
  }

  /** Throws Malformed for a malformed frame, before any span. */
  static void read(byte[] bytes, Spans spans) {
    new ResourceSpansReader(bytes).read(spans);
  }

  private void read(Spans spans) {
    List<ScopeSpans> scopes = new ArrayList<>();
    Extent resourceAt = frame("resource", scopes::add, this::scopeSpans, wire.bytes.length, "scope_spans");
    Outcome<Map<String, Object>> resource = part("resource", resourceAt, ResourceReader::resource);
    for (ScopeSpans scopeSpans : scopes) {
      Outcome<Map<String, Object>> scope = part("scope", scopeSpans.scope, ResourceReader::scope);
      Malformed fault = resource.fault != null ? resource.fault : scope.fault;
      for (Extent at : scopeSpans.spans) {
        if (fault != null) {
          spans.unreadable(fault);
          continue;
        }
        Outcome<ReadSpan> span =
            part("span", at, (from, end) -> SpanReader.read(from, end, resource.value, scope.value));
        if (span.fault != null) {
          spans.unreadable(span.fault);
        } else {
          spans.span(span.value);
        }
      }
    }
  }

  private <T> Outcome<T> part(String name, Extent at, Part<T> part) {
    if (at == null) {
      return new Outcome<>(null, null);
    }
    wire.at = at.start;
    try {
      return new Outcome<>(part.read(wire, at.end), null);
    } catch (Malformed e) {
      return new Outcome<>(null, e.within(name));
    }
  }

  private ScopeSpans scopeSpans(WireReader from, int stop) {
    List<Extent> spans = new ArrayList<>();
    Extent scope = frame("scope", spans::add, this::extent, from.fieldEnd(stop), "spans");
    return new ScopeSpans(scope, spans);
  }

  private Extent extent(WireReader from, int stop) {
    int end = from.fieldEnd(stop);
    Extent extent = new Extent(from.at, end);
    from.at = end;
    return extent;
  }

  /** Both messages of the frame have one form: an owner, what it owns, and a schema URL. Returns where the owner lies. */
  private <T> Extent frame(String owner, Consumer<T> owned, Part<T> part, int end, String list) {
    Extent[] found = new Extent[1];
    new MessageReader(1 << 2, null, owner, list, "schema_url") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 10 -> found[0] = extent(from, stop);
          case 18 -> owned.accept(part.read(from, stop));
          case 26 -> from.text(stop);
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    return found[0];
  }
}
