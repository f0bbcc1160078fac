package dev.fluo.kms.verify;

import dev.fluo.kms.verify.MessageReader.Extent;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A span as it is signed.
 *
 * @param traceId 32 lower-case hex digits
 * @param spanId 16 lower-case hex digits
 * @param canonical RFC 8785 text, over whose UTF-8 bytes the statement's digest is
 * @param integrity the signature's attributes, as they are on the span
 * @param lacks what is not in the canonical form, because it was not given, or empty: "", "resource", "scope" or
 *     "resource or scope"
 */
record ReadSpan(String traceId, String spanId, String canonical, Integrity integrity, String lacks) {
  /** Reads a span, of a resource and a scope that were read. Throws Malformed. */
  static ReadSpan of(Extent at, Map<String, Object> resource, Map<String, Object> scope) {
    Integrity integrity = new Integrity();
    Map<String, Object> span = MessageReader.read(Otlp.SPAN, at, integrity);
    String traceId = id(span, "trace", 16);
    String spanId = id(span, "span", 8);
    Map<String, Object> whole = new LinkedHashMap<>();
    if (!resource.isEmpty()) {
      whole.put("resource", resource);
    }
    if (!scope.isEmpty()) {
      whole.put("scope", scope);
    }
    whole.put("span", span);
    String lacks = resource.isEmpty() ? "resource" : "";
    lacks += scope.isEmpty() ? (lacks.isEmpty() ? "scope" : " or scope") : "";
    return new ReadSpan(traceId, spanId, JsonWriter.canonical(whole), integrity, lacks);
  }

  private static String id(Map<String, Object> span, String of, int bytes) {
    if (span.get(of + "Id") instanceof String id) {
      return id;
    }
    throw new Malformed(of + "_id", "is missing or all zero; give the " + bytes + " bytes of the " + of + "'s id");
  }

  /** SHA-256 of the canonical form, in hex. */
  String digest() {
    return Sha256.hex(canonical);
  }
}
