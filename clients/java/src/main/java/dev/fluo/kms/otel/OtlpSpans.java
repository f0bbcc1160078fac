package dev.fluo.kms.otel;

import com.google.protobuf.ByteString;
import dev.fluo.kms.v1.AnyValue;
import dev.fluo.kms.v1.ArrayValue;
import dev.fluo.kms.v1.InstrumentationScope;
import dev.fluo.kms.v1.KeyValue;
import dev.fluo.kms.v1.KeyValueList;
import dev.fluo.kms.v1.Resource;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.ScopeSpans;
import dev.fluo.kms.v1.Span;
import dev.fluo.kms.v1.SpanStatus;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import io.opentelemetry.sdk.trace.data.EventData;
import io.opentelemetry.sdk.trace.data.LinkData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.data.StatusData;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The SDK's spans as OTLP's, field by field as the SDK's own OTLP exporters write them: what is signed here must be what
 * they send. Only public types of the SDK are used; a test holds it against those exporters.
 */
final class OtlpSpans {
  /** The spans as messages; and the same in the order of the messages, where those of a scope stand together. */
  record Converted(List<ResourceSpans> messages, List<SpanData> ordered) {}

  private OtlpSpans() {}

  static Converted of(List<SpanData> spans) {
    Map<io.opentelemetry.sdk.resources.Resource, Map<InstrumentationScopeInfo, List<SpanData>>> groups =
        new LinkedHashMap<>();
    for (SpanData span : spans) {
      groups
          .computeIfAbsent(span.getResource(), resource -> new LinkedHashMap<>())
          .computeIfAbsent(span.getInstrumentationScopeInfo(), scope -> new ArrayList<>())
          .add(span);
    }
    List<ResourceSpans> messages = new ArrayList<>();
    List<SpanData> ordered = new ArrayList<>(spans.size());
    groups.forEach(
        (resource, scopes) -> {
          ResourceSpans.Builder message = ResourceSpans.newBuilder().setResource(resource(resource));
          scopes.forEach(
              (scope, group) -> {
                ScopeSpans.Builder inner = ScopeSpans.newBuilder().setScope(scope(scope));
                group.forEach(span -> inner.addSpans(span(span)));
                message.addScopeSpans(inner);
                ordered.addAll(group);
              });
          messages.add(message.build());
        });
    return new Converted(messages, ordered);
  }

  private static Resource resource(io.opentelemetry.sdk.resources.Resource resource) {
    return Resource.newBuilder().addAllAttributes(attributes(resource.getAttributes())).build();
  }

  private static InstrumentationScope scope(InstrumentationScopeInfo scope) {
    InstrumentationScope.Builder message =
        InstrumentationScope.newBuilder()
            .setName(scope.getName())
            .addAllAttributes(attributes(scope.getAttributes()));
    if (scope.getVersion() != null) {
      message.setVersion(scope.getVersion());
    }
    return message.build();
  }

  private static Span span(SpanData span) {
    Span.Builder message =
        Span.newBuilder()
            .setTraceId(id(span.getTraceId()))
            .setSpanId(id(span.getSpanId()))
            .setTraceState(traceState(span.getSpanContext().getTraceState()))
            .setName(span.getName())
            .setKind(kind(span))
            .setStartTimeUnixNano(span.getStartEpochNanos())
            .setEndTimeUnixNano(span.getEndEpochNanos())
            .addAllAttributes(attributes(span.getAttributes()))
            .setDroppedAttributesCount(span.getTotalAttributeCount() - span.getAttributes().size())
            .setDroppedEventsCount(span.getTotalRecordedEvents() - span.getEvents().size())
            .setDroppedLinksCount(span.getTotalRecordedLinks() - span.getLinks().size())
            .setStatus(status(span.getStatus()));
    if (span.getParentSpanContext().isValid()) {
      message.setParentSpanId(id(span.getParentSpanId()));
    }
    span.getEvents().forEach(event -> message.addEvents(event(event)));
    span.getLinks().forEach(link -> message.addLinks(link(link)));
    return message.build();
  }

  private static Span.Event event(EventData event) {
    return Span.Event.newBuilder()
        .setTimeUnixNano(event.getEpochNanos())
        .setName(event.getName())
        .addAllAttributes(attributes(event.getAttributes()))
        .setDroppedAttributesCount(event.getDroppedAttributesCount())
        .build();
  }

  private static Span.Link link(LinkData link) {
    return Span.Link.newBuilder()
        .setTraceId(id(link.getSpanContext().getTraceId()))
        .setSpanId(id(link.getSpanContext().getSpanId()))
        .setTraceState(traceState(link.getSpanContext().getTraceState()))
        .addAllAttributes(attributes(link.getAttributes()))
        .setDroppedAttributesCount(link.getTotalAttributeCount() - link.getAttributes().size())
        .build();
  }

  private static Span.SpanKind kind(SpanData span) {
    return switch (span.getKind()) {
      case INTERNAL -> Span.SpanKind.SPAN_KIND_INTERNAL;
      case SERVER -> Span.SpanKind.SPAN_KIND_SERVER;
      case CLIENT -> Span.SpanKind.SPAN_KIND_CLIENT;
      case PRODUCER -> Span.SpanKind.SPAN_KIND_PRODUCER;
      case CONSUMER -> Span.SpanKind.SPAN_KIND_CONSUMER;
    };
  }

  private static SpanStatus status(StatusData status) {
    SpanStatus.StatusCode code =
        switch (status.getStatusCode()) {
          case UNSET -> SpanStatus.StatusCode.STATUS_CODE_UNSET;
          case OK -> SpanStatus.StatusCode.STATUS_CODE_OK;
          case ERROR -> SpanStatus.StatusCode.STATUS_CODE_ERROR;
        };
    return SpanStatus.newBuilder().setCode(code).setMessage(status.getDescription()).build();
  }

  /** W3C's text: members behind each other, with commas between them. */
  private static String traceState(TraceState state) {
    StringBuilder text = new StringBuilder();
    state.forEach((key, value) -> text.append(text.isEmpty() ? "" : ",").append(key).append('=').append(value));
    return text.toString();
  }

  private static ByteString id(String hex) {
    return ByteString.copyFrom(HexFormat.of().parseHex(hex));
  }

  private static List<KeyValue> attributes(Attributes attributes) {
    List<KeyValue> messages = new ArrayList<>(attributes.size());
    attributes.forEach(
        (key, value) -> messages.add(KeyValue.newBuilder().setKey(key.getKey()).setValue(value(key, value)).build()));
    return messages;
  }

  private static AnyValue value(AttributeKey<?> key, Object value) {
    return switch (key.getType()) {
      case STRING, BOOLEAN, LONG, DOUBLE -> scalar(value);
      case STRING_ARRAY, BOOLEAN_ARRAY, LONG_ARRAY, DOUBLE_ARRAY -> {
        ArrayValue.Builder items = ArrayValue.newBuilder();
        ((List<?>) value).forEach(item -> items.addValues(scalar(item)));
        yield AnyValue.newBuilder().setArrayValue(items).build();
      }
      case VALUE -> value((Value<?>) value);
    };
  }

  private static AnyValue scalar(Object value) {
    AnyValue.Builder message = AnyValue.newBuilder();
    if (value instanceof String text) {
      message.setStringValue(text);
    } else if (value instanceof Boolean truth) {
      message.setBoolValue(truth);
    } else if (value instanceof Long number) {
      message.setIntValue(number);
    } else if (value instanceof Double number) {
      message.setDoubleValue(number);
    }
    return message.build();
  }

  private static AnyValue value(Value<?> value) {
    return switch (value.getType()) {
      case STRING, BOOLEAN, LONG, DOUBLE -> scalar(value.getValue());
      case BYTES ->
          AnyValue.newBuilder()
              .setBytesValue(ByteString.copyFrom(((ByteBuffer) value.getValue()).duplicate()))
              .build();
      case ARRAY -> {
        ArrayValue.Builder items = ArrayValue.newBuilder();
        ((List<?>) value.getValue()).forEach(item -> items.addValues(value((Value<?>) item)));
        yield AnyValue.newBuilder().setArrayValue(items).build();
      }
      case KEY_VALUE_LIST -> {
        KeyValueList.Builder entries = KeyValueList.newBuilder();
        for (Object each : (List<?>) value.getValue()) {
          io.opentelemetry.api.common.KeyValue entry = (io.opentelemetry.api.common.KeyValue) each;
          entries.addValues(KeyValue.newBuilder().setKey(entry.getKey()).setValue(value(entry.getValue())));
        }
        yield AnyValue.newBuilder().setKvlistValue(entries).build();
      }
      case EMPTY -> AnyValue.getDefaultInstance();
    };
  }
}
