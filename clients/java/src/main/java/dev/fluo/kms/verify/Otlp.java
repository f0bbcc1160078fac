package dev.fluo.kms.verify;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** The messages of OTLP's traces with all of their fields, for protobuf and for JSON. What is not here is refused. */
final class Otlp {
  /**
   * A field is {@code name=number:type}. {@code *} is for a list. {@code @} is for a message that is read by itself, so
   * that a fault in it is no fault of the message around it. {@code -} is for a field that is not in the canonical form;
   * it is read, so that nothing malformed hides in it.
   */
  private static final String TABLE =
      """
      Export: resource_spans=1:ResourceSpans*@
      ResourceSpans: resource=1:Resource@ scope_spans=2:ScopeSpans* schema_url=3:text
      ScopeSpans: scope=1:Scope@ spans=2:Span*@ schema_url=3:text
      Resource: attributes=1:KeyValue* dropped_attributes_count=2:uint32- entity_refs=3:EntityRef*-
      EntityRef: schema_url=1:text type=2:text id_keys=3:text* description_keys=4:text*
      Scope: name=1:text version=2:text attributes=3:KeyValue* dropped_attributes_count=4:uint32-
      Span: trace_id=1:id16 span_id=2:id8 trace_state=3:text parent_span_id=4:id8 name=5:text kind=6:SpanKind \
        start_time_unix_nano=7:fixed64 end_time_unix_nano=8:fixed64 \
        attributes=9:KeyValue* dropped_attributes_count=10:uint32 events=11:Event* dropped_events_count=12:uint32 \
        links=13:Link* dropped_links_count=14:uint32 status=15:Status flags=16:fixed32-
      Event: time_unix_nano=1:fixed64 name=2:text attributes=3:KeyValue* dropped_attributes_count=4:uint32
      Link: trace_id=1:id16 span_id=2:id8 trace_state=3:text attributes=4:KeyValue* \
        dropped_attributes_count=5:uint32 flags=6:fixed32-
      Status: message=2:text code=3:StatusCode
      KeyValue: key=1:text value=2:AnyValue
      AnyValue: string_value=1:text bool_value=2:bool int_value=3:int64 double_value=4:double \
        array_value=5:ArrayValue kvlist_value=6:KeyValueList bytes_value=7:bytes
      ArrayValue: values=1:AnyValue*
      KeyValueList: values=1:KeyValue*
      """;

  private static final Map<String, List<String>> ENUMS =
      Map.of(
          "SpanKind",
          List.of(
              "SPAN_KIND_UNSPECIFIED",
              "SPAN_KIND_INTERNAL",
              "SPAN_KIND_SERVER",
              "SPAN_KIND_CLIENT",
              "SPAN_KIND_PRODUCER",
              "SPAN_KIND_CONSUMER"),
          "StatusCode",
          List.of("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"));

  private static final Pattern WORD = Pattern.compile("_(.)");
  private static final Pattern FIELD = Pattern.compile("(\\w+)=(\\d+):(\\w+)([*@-]*)");

  private static final Map<String, Message> MESSAGES = new HashMap<>();

  static {
    TABLE.lines().map(line -> line.split(": ", 2)).forEach(line -> MESSAGES.put(line[0], new Message(line[1])));
  }

  static final Message EXPORT = MESSAGES.get("Export");
  static final Message RESOURCE_SPANS = MESSAGES.get("ResourceSpans");
  static final Message RESOURCE = MESSAGES.get("Resource");
  static final Message SCOPE = MESSAGES.get("Scope");
  static final Message SPAN = MESSAGES.get("Span");
  static final Message KEY_VALUE = MESSAGES.get("KeyValue");
  static final Message ANY_VALUE = MESSAGES.get("AnyValue");
  static final Message ARRAY_VALUE = MESSAGES.get("ArrayValue");
  static final Message KEY_VALUE_LIST = MESSAGES.get("KeyValueList");

  private Otlp() {}

  /** What a field holds, and its wire type. */
  enum Type {
    BOOL(0),
    INT64(0),
    UINT32(0),
    ENUM(0),
    DOUBLE(1),
    FIXED64(1),
    TEXT(2),
    BYTES(2),
    ID(2),
    MESSAGE(2),
    PART(2),
    FIXED32(5);

    final int wireType;

    Type(int wireType) {
      this.wireType = wireType;
    }

    private static Type of(String name, String flags) {
      if (ENUMS.containsKey(name)) {
        return ENUM;
      }
      if (Character.isUpperCase(name.charAt(0))) {
        return flags.contains("@") ? PART : MESSAGE;
      }
      return name.startsWith("id") ? ID : valueOf(name.toUpperCase(Locale.ROOT));
    }
  }

  /**
   * @param jsonName its name in JSON, and in the canonical form
   * @param typeName its type, as the table has it
   */
  record Field(
      int number, String name, String jsonName, Type type, String typeName, boolean isList, boolean isSigned) {
    private Field(MatchResult parts) {
      this(
          Integer.parseInt(parts.group(2)),
          parts.group(1),
          WORD.matcher(parts.group(1)).replaceAll(word -> word.group(1).toUpperCase(Locale.ROOT)),
          Type.of(parts.group(3), parts.group(4)),
          parts.group(3),
          parts.group(4).contains("*"),
          !parts.group(4).contains("-"));
    }

    /** Returns that of a MESSAGE or a PART. */
    Message message() {
      return MESSAGES.get(typeName);
    }

    /** Returns the names of an ENUM's values, by number. */
    List<String> values() {
      return ENUMS.get(typeName);
    }

    /** Returns the length of an ID. */
    int idBytes() {
      return Integer.parseInt(typeName.substring("id".length()));
    }
  }

  /** A message's fields. */
  static final class Message {
    private static final int MOST_FIELDS = 17;

    private final Field[] byNumber = new Field[MOST_FIELDS];
    private final Map<String, Field> byName = new HashMap<>();

    private Message(String fields) {
      FIELD.matcher(fields).results().map(Field::new).forEach(this::add);
    }

    private void add(Field field) {
      byNumber[field.number] = field;
      byName.put(field.name, field);
      byName.put(field.jsonName, field);
    }

    /** Returns null where there is no such field. */
    Field field(int number) {
      return number < MOST_FIELDS ? byNumber[number] : null;
    }

    /** Returns the field by either of its names; null where there is no such field. */
    Field field(String name) {
      return byName.get(name);
    }

    /** Returns a counter for each field, by its number. */
    int[] counts() {
      return new int[MOST_FIELDS];
    }

    /** Whether each field excludes the others. */
    boolean isOneof() {
      return this == ANY_VALUE;
    }
  }
}
