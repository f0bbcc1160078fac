package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;

/**
 * JSON (RFC 8259) as a tree of maps, lists, strings, {@link JsonNumber}, booleans and null. A member that is there
 * twice is refused: parsers differ on which counts, and so one signature would stand for two spans. Not by Gson, whose
 * strict reader takes a number of more than 65 characters for no JSON.
 */
final class JsonText {
  /** Objects and lists around each other: more than the deepest message that is read has, and short of the stack. */
  private static final int MOST_LEVELS = 512;

  private static final char END = '\uffff';

  private final String text;
  private final Matcher number;
  private int at;
  private Malformed repeated;

  private JsonText(String text) {
    this.text = text;
    this.number = JsonNumber.FORM.matcher(text);
  }

  /** Throws NotJson for what is not JSON or is nested too deeply, and Malformed for JSON with a member twice. */
  static Object parse(String text) throws NotJson {
    JsonText json = new JsonText(text);
    Object tree = json.value(0);
    if (json.next() != END || json.at < text.length()) {
      throw new NotJson();
    }
    if (json.repeated != null) {
      throw json.repeated;
    }
    return tree;
  }

  /** Returns the text without a byte order mark at its very start. Anywhere else that is no JSON. */
  static String withoutMark(String text) {
    return text.startsWith("\uFEFF") ? text.substring(1) : text;
  }

  /** Says that a text is not JSON. */
  static final class NotJson extends Exception {
    private static final long serialVersionUID = 1;

    NotJson() {
      super("not JSON", null, false, false);
    }
  }

  private Object value(int level) throws NotJson {
    return switch (next()) {
      case '{' -> members(level + 1);
      case '[' -> items(level + 1);
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
      case 'n' -> word("null", null);
      default -> number();
    };
  }

  private Map<String, Object> members(int level) throws NotJson {
    Map<String, Object> members = new LinkedHashMap<>();
    enter(level);
    if (next() == '}') {
      at++;
      return members;
    }
    do {
      if (next() != '"') {
        throw new NotJson();
      }
      String name = string();
      if (members.containsKey(name) && repeated == null) {
        repeated = new Malformed(name, "is there twice, and parsers differ on which counts; send it once");
      }
      if (next() != ':') {
        throw new NotJson();
      }
      at++;
      members.put(name, value(level));
    } while (goesOn('}'));
    return members;
  }

  private List<Object> items(int level) throws NotJson {
    List<Object> items = new ArrayList<>();
    enter(level);
    if (next() == ']') {
      at++;
      return items;
    }
    do {
      items.add(value(level));
    } while (goesOn(']'));
    return items;
  }

  private void enter(int level) throws NotJson {
    if (level > MOST_LEVELS) {
      throw new NotJson();
    }
    at++;
  }

  /** Passes over a comma, or over what ends the list. */
  private boolean goesOn(char end) throws NotJson {
    char unit = next();
    if (unit != ',' && unit != end) {
      throw new NotJson();
    }
    at++;
    return unit == ',';
  }

  private String string() throws NotJson {
    StringBuilder string = new StringBuilder();
    for (at++; at < text.length(); at++) {
      char unit = text.charAt(at);
      if (unit == '"') {
        at++;
        return string.toString();
      }
      if (unit < 0x20) {
        break;
      }
      string.append(unit == '\\' ? escape() : unit);
    }
    throw new NotJson();
  }

  /** Stops at the last character of the escape. */
  private char escape() throws NotJson {
    at++;
    char unit = at < text.length() ? text.charAt(at) : END;
    if (unit == 'u' && at + 4 < text.length()) {
      int value = 0;
      for (int i = 0; i < 4; i++) {
        char digit = text.charAt(++at);
        if (digit > 'f' || Character.digit(digit, 16) < 0) {
          throw new NotJson();
        }
        value = value << 4 | Character.digit(digit, 16);
      }
      return (char) value;
    }
    int known = "\"\\/bfnrt".indexOf(unit);
    if (known < 0) {
      throw new NotJson();
    }
    return "\"\\/\b\f\n\r\t".charAt(known);
  }

  private Object word(String word, Object value) throws NotJson {
    if (!text.startsWith(word, at)) {
      throw new NotJson();
    }
    at += word.length();
    return value;
  }

  private JsonNumber number() throws NotJson {
    if (!number.region(at, text.length()).lookingAt()) {
      throw new NotJson();
    }
    at = number.end();
    return new JsonNumber(number.group());
  }

  /** Skips white space, and returns what is behind it. */
  private char next() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    return at < text.length() ? text.charAt(at) : END;
  }
}
