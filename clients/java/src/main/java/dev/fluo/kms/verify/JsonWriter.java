package dev.fluo.kms.verify;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.erdtman.jcs.NumberToJSON;

/** Writes a tree of maps, lists, strings, numbers, booleans and null as JSON: in RFC 8785's form, or indented. */
final class JsonWriter {
  private static final String ESCAPED = "\b\f\n\r\t\"\\";
  private static final String ESCAPES = "bfnrt\"\\";

  private final StringBuilder json = new StringBuilder(512);
  private final boolean isCanonical;

  private JsonWriter(boolean isCanonical) {
    this.isCanonical = isCanonical;
  }

  static String canonical(Object tree) {
    JsonWriter writer = new JsonWriter(true);
    writer.value(tree, "");
    return writer.json.toString();
  }

  static String indented(Object tree) {
    JsonWriter writer = new JsonWriter(false);
    writer.value(tree, "\n");
    return writer.json.toString();
  }

  /** Returns the text as a JSON string. */
  static String quoted(String text) {
    return canonical(text);
  }

  private void value(Object tree, String line) {
    if (tree instanceof Map<?, ?> members) {
      // Strings are compared by UTF-16 code units, as RFC 8785 does.
      Map<?, ?> ordered = isCanonical ? new TreeMap<>(members) : members;
      each("{", ordered.entrySet().iterator(), "}", line, member -> member(member, line));
    } else if (tree instanceof List<?> items) {
      each("[", items.iterator(), "]", line, item -> value(item, inner(line)));
    } else if (tree instanceof String text) {
      string(text);
    } else if (tree instanceof Double number) {
      number(number);
    } else {
      json.append(tree);
    }
  }

  private <T> void each(String open, Iterator<T> items, String close, String line, Consumer<T> write) {
    json.append(open);
    if (!items.hasNext()) {
      json.append(close);
      return;
    }
    while (items.hasNext()) {
      json.append(inner(line));
      write.accept(items.next());
      json.append(items.hasNext() ? "," : line + close);
    }
  }

  private void member(Map.Entry<?, ?> member, String line) {
    string((String) member.getKey());
    json.append(isCanonical ? ":" : ": ");
    value(member.getValue(), inner(line));
  }

  private String inner(String line) {
    return isCanonical ? "" : line + "  ";
  }

  private void number(double number) {
    try {
      json.append(NumberToJSON.serializeNumber(number));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void string(String text) {
    json.append('"');
    for (int i = 0; i < text.length(); i++) {
      char unit = text.charAt(i);
      int escape = ESCAPED.indexOf(unit);
      if (escape >= 0) {
        json.append('\\').append(ESCAPES.charAt(escape));
      } else if (unit < 0x20) {
        json.append(String.format("\\u%04x", (int) unit));
      } else {
        json.append(unit);
      }
    }
    json.append('"');
  }
}
