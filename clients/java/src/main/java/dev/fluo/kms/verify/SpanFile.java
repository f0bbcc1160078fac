package dev.fluo.kms.verify;

import dev.fluo.kms.verify.JsonText.NotJson;
import dev.fluo.kms.verify.MessageReader.Extent;
import java.util.ArrayList;
import java.util.List;

/**
 * The ResourceSpans of an OTLP trace export, each as protobuf bytes. The export is protobuf (field 1 repeated), or OTLP
 * JSON, one document or one a line. A protobuf export begins with 0x0a, which in JSON is a line feed: only what can be
 * read to its end as protobuf counts as such.
 */
final class SpanFile {
  private static final int PROTOBUF = 0x0a;

  private SpanFile() {}

  /**
   * Gives each span in order, or why one, or a whole message of them, cannot be read.
   *
   * @throws NotAnExportException before any span, for bytes that are neither form
   */
  static void read(byte[] bytes, ResourceSpansReader.Spans spans) {
    List<?> messages = bytes.length == 0 || bytes[0] == PROTOBUF ? splitProtobuf(bytes) : null;
    for (Object each : messages != null ? messages : readJson(text(bytes))) {
      if (each instanceof Malformed fault) {
        spans.unreadable(fault);
      } else {
        ResourceSpansReader.read((Extent) each, spans);
      }
    }
  }

  private static List<?> splitProtobuf(byte[] bytes) {
    try {
      return (List<?>) MessageReader.read(Otlp.EXPORT, new Extent(bytes)).getOrDefault("resourceSpans", List.of());
    } catch (Malformed e) {
      return null;
    }
  }

  private static String text(byte[] bytes) {
    String text = Utf8.decode(bytes);
    if (text == null) {
      throw new NotAnExportException("the spans are neither an OTLP trace export in protobuf nor JSON in UTF-8");
    }
    return JsonText.withoutMark(text);
  }

  private static List<Object> readJson(String text) {
    try {
      return document(text);
    } catch (NotJson e) {
      return readLines(text);
    }
  }

  private static List<Object> readLines(String text) {
    List<Object> messages = new ArrayList<>();
    int number = 0;
    for (String line : text.split("\n", -1)) {
      number++;
      if (line.matches("[ \\t\\r]*")) {
        continue;
      }
      try {
        messages.addAll(document(line));
      } catch (NotJson e) {
        throw new NotAnExportException(
            "the spans are not JSON in line " + number + "; they must be an OTLP trace export");
      }
    }
    return messages;
  }

  /** A member that is there twice makes the whole document one that cannot be read. */
  private static List<Object> document(String text) throws NotJson {
    Object document;
    try {
      document = JsonText.parse(text);
    } catch (Malformed e) {
      return List.of(e);
    }
    return OtlpJson.resourceSpans(document);
  }
}
