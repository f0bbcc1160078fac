package dev.fluo.kms.verify;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON (RFC 8259) as a tree of maps, lists, strings, doubles, booleans and null. A member that is there twice is
 * refused: parsers differ on which counts, and so one signature would stand for two spans.
 */
final class JsonText {
  /** More than the deepest message that is read has. */
  private static final int MOST_LEVELS = 512;

  private static final double LARGEST_SAFE = 0x1.fffffffffffffp52;

  private final JsonReader reader;
  private Malformed fault;

  private JsonText(String text) {
    reader = new JsonReader(new StringReader(text));
    reader.setStrictness(Strictness.STRICT);
    // Deeper text is JSON too; it is refused for its depth once all of it is read.
    reader.setNestingLimit(Integer.MAX_VALUE);
  }

  /** Throws NotJson for what is not JSON, and Malformed for JSON with a member twice, or nested too deeply. */
  static Object parse(String text) throws NotJson {
    JsonText json = new JsonText(text);
    try {
      // The reader passes over a byte order mark, which is no JSON.
      if (text.startsWith("\uFEFF")) {
        throw new NotJson();
      }
      Object tree = json.value(0);
      if (json.reader.peek() != JsonToken.END_DOCUMENT) {
        throw new NotJson();
      }
      if (json.fault != null) {
        throw json.fault;
      }
      return tree;
    } catch (IOException | IllegalStateException | NumberFormatException e) {
      throw new NotJson();
    }
  }

  /** Says that a text is not JSON. */
  static final class NotJson extends Exception {
    private static final long serialVersionUID = 1;

    NotJson() {
      super("not JSON", null, false, false);
    }
  }

  private Object value(int level) throws IOException, NotJson {
    if (level > MOST_LEVELS) {
      skip(new Malformed("the JSON is nested too deeply"));
      return null;
    }
    switch (reader.peek()) {
      case BEGIN_OBJECT -> {
        return members(level);
      }
      case BEGIN_ARRAY -> {
        List<Object> items = new ArrayList<>();
        reader.beginArray();
        while (reader.hasNext()) {
          items.add(value(level + 1));
        }
        reader.endArray();
        return items;
      }
      case STRING -> {
        return reader.nextString();
      }
      case NUMBER -> {
        return number(reader.nextString());
      }
      case BOOLEAN -> {
        return reader.nextBoolean();
      }
      case NULL -> {
        reader.nextNull();
        return null;
      }
      default -> throw new NotJson();
    }
  }

  private Map<String, Object> members(int level) throws IOException, NotJson {
    Map<String, Object> members = new LinkedHashMap<>();
    reader.beginObject();
    while (reader.hasNext()) {
      String name = reader.nextName();
      Object value = value(level + 1);
      if (members.containsKey(name)) {
        fault(new Malformed(name, "is there twice, and parsers differ on which counts; send it once"));
      }
      members.put(name, value);
    }
    reader.endObject();
    return members;
  }

  /** Whole numbers that a double cannot hold stay text: the last digits of a timestamp are signed, too. */
  private static Object number(String lexeme) {
    double value = Double.parseDouble(lexeme);
    boolean isSafe = value == Math.rint(value) && Math.abs(value) <= LARGEST_SAFE;
    return isSafe || !lexeme.matches("-?[0-9]+") ? (Object) value : lexeme;
  }

  private void fault(Malformed found) {
    fault = fault == null ? found : fault;
  }

  /** Reads on without recursion, so that no text can exhaust the stack. */
  private void skip(Malformed why) throws IOException {
    fault(why);
    reader.skipValue();
  }
}
