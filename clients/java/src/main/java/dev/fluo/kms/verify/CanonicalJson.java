package dev.fluo.kms.verify;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import org.erdtman.jcs.JsonCanonicalizer;

/** The RFC 8785 text of a tree of maps, lists, strings, numbers, booleans and null. */
final class CanonicalJson {
  private CanonicalJson() {}

  static String text(Object tree) {
    StringBuilder json = new StringBuilder(512);
    write(json, tree);
    try {
      return new JsonCanonicalizer(json.toString()).getEncodedString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes JSON whose members are in any order, and whose numbers are in any form. */
  private static void write(StringBuilder json, Object tree) {
    if (tree instanceof Map<?, ?> members) {
      char before = '{';
      for (Map.Entry<?, ?> member : members.entrySet()) {
        json.append(before);
        string(json, (String) member.getKey());
        json.append(':');
        write(json, member.getValue());
        before = ',';
      }
      json.append(members.isEmpty() ? "{}" : "}");
    } else if (tree instanceof List<?> items) {
      char before = '[';
      for (Object item : items) {
        json.append(before);
        write(json, item);
        before = ',';
      }
      json.append(items.isEmpty() ? "[]" : "]");
    } else if (tree instanceof String text) {
      string(json, text);
    } else {
      json.append(tree);
    }
  }

  static void string(StringBuilder json, String text) {
    json.append('"');
    for (int i = 0; i < text.length(); i++) {
      char unit = text.charAt(i);
      if (unit < 0x20) {
        json.append(String.format("\\u%04x", (int) unit));
      } else if (unit == '"' || unit == '\\') {
        json.append('\\').append(unit);
      } else {
        json.append(unit);
      }
    }
    json.append('"');
  }
}
