package dev.fluo.kms.verify;

import java.util.Map;

/** A span with its resource and scope, each as the bytes of its message. */
record SpanParts(byte[] resource, byte[] scope, byte[] span) {
  /** Throws Malformed that names the part. */
  ReadSpan read() {
    Map<String, Object> ofResource = part("resource", resource, ResourceReader::resource);
    Map<String, Object> ofScope = part("scope", scope, ResourceReader::scope);
    return part("span", span, (wire, end) -> SpanReader.read(wire, end, ofResource, ofScope));
  }

  private interface Part<T> {
    T read(WireReader wire, int end);
  }

  private static <T> T part(String name, byte[] bytes, Part<T> part) {
    try {
      return part.read(new WireReader(bytes), bytes.length);
    } catch (Malformed e) {
      throw e.within(name);
    }
  }
}
