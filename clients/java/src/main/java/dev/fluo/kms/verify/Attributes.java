package dev.fluo.kms.verify;

import dev.fluo.kms.verify.AnyValueReader.KeyValue;
import java.util.LinkedHashMap;
import java.util.Map;

/** A list of attributes: at most 128, each key once. Those of a span's signature are kept apart, and do not count. */
final class Attributes {
  static final int MAX_ATTRIBUTES = 128;

  private final Map<String, Object> members = new LinkedHashMap<>();
  private final Integrity integrity;

  /** Attributes of a resource, a scope, an event or a link: there the attributes of a signature are ordinary ones. */
  Attributes() {
    this(null);
  }

  /** Attributes of a span. */
  Attributes(Integrity integrity) {
    this.integrity = integrity;
  }

  void read(WireReader wire, int end) {
    KeyValue attribute = KeyValue.read(wire, wire.fieldEnd(end), 1);
    if (integrity != null && integrity.take(attribute)) {
      return;
    }
    if (members.size() == MAX_ATTRIBUTES && !members.containsKey(attribute.key())) {
      throw new Malformed("a list has at most " + MAX_ATTRIBUTES + " attributes; leave some out");
    }
    putOnce(members, attribute);
  }

  static void putOnce(Map<String, Object> members, KeyValue entry) {
    if (members.containsKey(entry.key())) {
      throw new Malformed("key", "another entry of this list has the same key; keep one");
    }
    members.put(entry.key(), entry.value());
  }

  void writeTo(Map<String, Object> message) {
    if (!members.isEmpty()) {
      message.put("attributes", members);
    }
  }
}
