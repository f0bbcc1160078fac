# frozen_string_literal: true

require "minitest/autorun"
require "fluo-kms"

# Attributes as deep as the service takes them.
class DeepMessagesTest < Minitest::Test
  include Fluo::Kms::V1

  # A map in a map in a map …
  def nested(levels)
    return AnyValue.new(string_value: "deep") if levels == 1

    entry = KeyValue.new(key: "a", value: nested(levels - 1))
    AnyValue.new(kvlist_value: KeyValueList.new(values: [entry]))
  end

  def request(levels)
    span = Span.new(attributes: [KeyValue.new(key: "a", value: nested(levels))])
    resource_spans = ResourceSpans.new(scope_spans: [ScopeSpans.new(spans: [span])])
    SignSpansRequest.new(resource_spans: [resource_spans])
  end

  def test_encodes_and_decodes_32_levels
    bytes = SignSpansRequest.encode(request(32))

    # Messages this deep cannot be compared, only their bytes can.
    assert_equal bytes, SignSpansRequest.encode(SignSpansRequest.decode(bytes))
  end

  def test_refuses_levels_without_end
    assert_raises(RuntimeError) { SignSpansRequest.encode(request(64)) }
  end
end
