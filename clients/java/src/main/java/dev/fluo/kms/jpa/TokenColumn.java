package dev.fluo.kms.jpa;

import dev.fluo.kms.Pii;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The text of a column: a JSON object whose members are the components of a record by their names, each a token. Databases
 * that have JSON as a type change spaces and the order of members; neither names nor tokens have anything to escape.
 */
final class TokenColumn<R extends Record> {
  private static final String MEMBER = "\\s*\"([^\"\\\\]+)\"\\s*:\\s*\"([A-Za-z0-9._-]*)\"\\s*";
  private static final Pattern OBJECT = Pattern.compile("\\s*\\{(?:\\s*|" + MEMBER + "(?:," + MEMBER + ")*)\\}\\s*");
  private static final Pattern ONE = Pattern.compile(MEMBER);

  /** A component, and how its value is read of a record. */
  private record Member(String name, boolean isText, Method accessor) {}

  private final Class<R> type;
  private final List<Member> members;
  private final Constructor<R> constructor;

  TokenColumn(Class<R> type) {
    this.type = type;
    List<Member> members = new ArrayList<>();
    Set<String> marks = new HashSet<>();
    for (RecordComponent each : type.getRecordComponents()) {
      boolean isText = each.getType() == String.class;
      if (!each.isAnnotationPresent(Pii.class) || !isText && each.getType() != byte[].class) {
        throw new IllegalArgumentException(
            type.getSimpleName() + "." + each.getName() + " must be a String or a byte[] that is marked @Pii");
      }
      if (!marks.add(each.getAnnotation(Pii.class).value())) {
        throw new IllegalArgumentException(type.getSimpleName() + "." + each.getName() + " has the mark of another component");
      }
      each.getAccessor().setAccessible(true);
      members.add(new Member(each.getName(), isText, each.getAccessor()));
    }
    if (members.isEmpty()) {
      throw new IllegalArgumentException(type.getSimpleName() + " has no component");
    }
    this.members = List.copyOf(members);
    Class<?>[] types =
        Arrays.stream(type.getRecordComponents()).map(RecordComponent::getType).toArray(Class<?>[]::new);
    try {
      this.constructor = type.getDeclaredConstructor(types);
    } catch (NoSuchMethodException e) {
      throw new IllegalArgumentException(e);
    }
    constructor.setAccessible(true);
  }

  /** Writes a record of tokens. */
  String write(R tokens) {
    StringBuilder text = new StringBuilder("{");
    for (Member each : members) {
      Object token = call(() -> each.accessor().invoke(tokens));
      if (token == null) {
        continue;
      }
      String shown = each.isText() ? (String) token : new String((byte[]) token, StandardCharsets.US_ASCII);
      text.append(text.length() == 1 ? "" : ",").append('"').append(each.name()).append("\":\"").append(shown).append('"');
    }
    return text.append('}').toString();
  }

  /** Reads a record of tokens. Throws IllegalArgumentException, without the text, if it is none. */
  R read(String text) {
    if (!OBJECT.matcher(text).matches()) {
      throw new IllegalArgumentException("the column of " + type.getSimpleName() + " is no JSON object of tokens");
    }
    Map<String, String> tokens = new LinkedHashMap<>();
    Matcher member = ONE.matcher(text);
    while (member.find()) {
      if (tokens.put(member.group(1), member.group(2)) != null) {
        throw new IllegalArgumentException("the column of " + type.getSimpleName() + " has a member twice");
      }
    }
    Object[] values = new Object[members.size()];
    for (int i = 0; i < values.length; i++) {
      Member each = members.get(i);
      String token = tokens.remove(each.name());
      values[i] = token == null || each.isText() ? token : token.getBytes(StandardCharsets.US_ASCII);
    }
    if (!tokens.isEmpty()) {
      throw new IllegalArgumentException(type.getSimpleName() + " has no component for a member of its column");
    }
    return call(() -> constructor.newInstance(values));
  }

  private interface Reflective<T> {
    T run() throws ReflectiveOperationException;
  }

  private static <T> T call(Reflective<T> action) {
    try {
      return action.run();
    } catch (InvocationTargetException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e.getCause());
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException(e);
    }
  }
}
