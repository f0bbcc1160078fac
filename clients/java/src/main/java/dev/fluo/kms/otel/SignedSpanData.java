package dev.fluo.kms.otel;

import dev.fluo.kms.v1.KeyValue;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.sdk.trace.data.DelegatingSpanData;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.List;

/** A span with attributes more. How many were dropped stays as it was, for that is signed too. */
final class SignedSpanData extends DelegatingSpanData {
  private static final AttributeKey<String> UNSIGNED = AttributeKey.stringKey("fluo.kms.unsigned.reason");

  private final Attributes attributes;
  private final int totalAttributes;

  private SignedSpanData(SpanData span, Attributes attributes) {
    super(span);
    this.attributes = attributes;
    this.totalAttributes = span.getTotalAttributeCount() + attributes.size() - span.getAttributes().size();
  }

  static SpanData signed(SpanData span, List<KeyValue> evidence) {
    AttributesBuilder attributes = span.getAttributes().toBuilder();
    for (KeyValue each : evidence) {
      attributes.put(AttributeKey.stringKey(each.getKey()), each.getValue().getStringValue());
    }
    return new SignedSpanData(span, attributes.build());
  }

  static SpanData unsigned(SpanData span, String reason) {
    return new SignedSpanData(span, span.getAttributes().toBuilder().put(UNSIGNED, reason).build());
  }

  @Override
  public Attributes getAttributes() {
    return attributes;
  }

  @Override
  public int getTotalAttributeCount() {
    return totalAttributes;
  }
}
