package dev.fluo.kms.verify;

import dev.fluo.kms.verify.MessageReader.Extent;
import dev.fluo.kms.verify.Otlp.Field;
import dev.fluo.kms.verify.Otlp.Message;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * OTLP JSON to protobuf bytes. It is protobuf's JSON but for trace and span ids: OTLP writes them in hex, protobuf's own
 * printers in base64. The two have different lengths, so both are read. A member that no message has is refused: what
 * is not signed must not look signed.
 */
final class OtlpJson {
  /** Levels that protobuf's own readers go down. */
  private static final int MOST_MESSAGES = 100;

  private OtlpJson() {}

  /**
   * Returns each ResourceSpans of one export as its bytes, or as the Malformed that says why it cannot be read.
   *
   * @throws NotAnExportException for another document
   */
  static List<Object> resourceSpans(Object document) {
    Map<?, ?> members = document instanceof Map<?, ?> map ? map : Map.of();
    Object list = members.containsKey("resourceSpans") ? members.get("resourceSpans") : members.get("resource_spans");
    if (members.size() != 1 || !(list instanceof List<?> items)) {
      throw new NotAnExportException(
          "the spans must be OTLP trace exports: objects with a list \"resourceSpans\" and nothing else");
    }
    List<Object> messages = new ArrayList<>();
    for (Object item : items) {
      try {
        // The export around it is a message too.
        messages.add(new Extent(encode(Otlp.RESOURCE_SPANS, item, 2)));
      } catch (Malformed e) {
        messages.add(e);
      }
    }
    return messages;
  }

  private static byte[] encode(Message message, Object json, int depth) {
    if (depth > MOST_MESSAGES) {
      throw new Malformed("is nested too deeply");
    }
    if (!(json instanceof Map<?, ?> members)) {
      throw new Malformed("must be an object");
    }
    WireWriter out = new WireWriter();
    int[] counts = message.counts();
    boolean hasMember = false;
    for (Map.Entry<?, ?> member : members.entrySet()) {
      String name = (String) member.getKey();
      Object value = member.getValue();
      Field field = message.field(name);
      if (field == null) {
        throw new Malformed("has a member that OTLP does not have; leave it out");
      }
      try {
        if (counts[field.number()]++ > 0) {
          throw new Malformed("is there twice, under both of its names; send it once");
        }
        // A message that is null still excludes the others, as in protobuf's parsers.
        if (message.isOneof() && (value != null || field.message() != null)) {
          if (hasMember) {
            throw new Malformed("the value has a second member; it is one of them");
          }
          hasMember = true;
        }
        if (value != null) {
          write(out, field, value, depth);
        }
      } catch (Malformed e) {
        throw e.within(name);
      }
    }
    return out.toBytes();
  }

  private static void write(WireWriter out, Field field, Object value, int depth) {
    if (!field.isList()) {
      writeOne(out, field, value, depth);
      return;
    }
    if (!(value instanceof List<?> items)) {
      throw new Malformed("must be a list");
    }
    for (Object item : items) {
      if (item == null) {
        throw new Malformed("an item must not be null");
      }
      writeOne(out, field, item, depth);
    }
  }

  private static void writeOne(WireWriter out, Field field, Object json, int depth) {
    int number = field.number();
    switch (field.type()) {
      case TEXT -> out.text(number, JsonScalars.text(json));
      case BYTES -> out.bytes(number, JsonScalars.bytes(json));
      case ID -> out.bytes(number, id(json, field.idBytes()));
      case MESSAGE, PART -> out.bytes(number, encode(field.message(), json, depth + 1));
      case BOOL -> out.varint(number, JsonScalars.bool(json) ? 1 : 0);
      case INT64 -> out.varint(number, JsonScalars.int64(json));
      case UINT32 -> out.varint(number, JsonScalars.uint32(json));
      case ENUM -> {
        int named = field.values().indexOf(json);
        out.varint(number, named >= 0 ? named : JsonScalars.int32(json));
      }
      case DOUBLE -> out.fixed64(number, Double.doubleToRawLongBits(JsonScalars.float64(json)));
      case FIXED64 -> out.fixed64(number, JsonScalars.uint64(json));
      case FIXED32 -> out.fixed32(number, JsonScalars.uint32(json));
    }
  }

  private static byte[] id(Object json, int bytes) {
    if (!(json instanceof String text)) {
      throw new Malformed("must be text");
    }
    byte[] id = text.length() == 2 * bytes ? hex(text) : Base64Text.decodeEither(text);
    if (id == null || id.length != 0 && id.length != bytes) {
      throw new Malformed("must be " + bytes + " bytes, in hex or base64");
    }
    return id;
  }

  private static byte[] hex(String text) {
    try {
      return HexFormat.of().parseHex(text);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
