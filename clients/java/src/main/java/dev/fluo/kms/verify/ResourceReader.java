package dev.fluo.kms.verify;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * OTLP's Resource and InstrumentationScope in canonical form, null where nothing is left to cover. The dropped counts
 * and the entity refs are read, so that nothing malformed or unknown hides in them, and are not covered.
 */
final class ResourceReader {
  private ResourceReader() {}

  static Map<String, Object> resource(WireReader wire, int end) {
    Attributes attributes = new Attributes();
    new MessageReader(1 << 1 | 1 << 3, null, "attributes", "dropped_attributes_count", "entity_refs") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 10 -> attributes.read(from, stop);
          case 16 -> from.uint32(stop);
          case 26 -> entityRef(from, from.fieldEnd(stop));
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    Map<String, Object> resource = new LinkedHashMap<>();
    attributes.writeTo(resource);
    return resource.isEmpty() ? null : resource;
  }

  static Map<String, Object> scope(WireReader wire, int end) {
    Map<String, Object> scope = new LinkedHashMap<>();
    Attributes attributes = new Attributes();
    new MessageReader(1 << 3, null, "name", "version", "attributes", "dropped_attributes_count") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 10 -> SpanReader.putText(scope, "name", from.text(stop));
          case 18 -> SpanReader.putText(scope, "version", from.text(stop));
          case 26 -> attributes.read(from, stop);
          case 32 -> from.uint32(stop);
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    attributes.writeTo(scope);
    return scope.isEmpty() ? null : scope;
  }

  private static void entityRef(WireReader wire, int end) {
    new MessageReader(1 << 3 | 1 << 4, null, "schema_url", "type", "id_keys", "description_keys") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        if (tag != 10 && tag != 18 && tag != 26 && tag != 34) {
          return false;
        }
        from.text(stop);
        return true;
      }
    }.read(wire, end);
  }
}
