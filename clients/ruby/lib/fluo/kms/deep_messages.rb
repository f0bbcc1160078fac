# frozen_string_literal: true

require "fluo/kms/v1/signing_pb"

module Fluo
  module Kms
    # Raises the limit of nested messages where spans are. The service takes attributes of 32 levels, up to 3 messages a
    # level; google-protobuf stops at 64 messages unless told otherwise.
    module DeepMessages
      LIMIT = { recursion_limit: 128 }.freeze

      def encode(message, options = {})
        super(message, LIMIT.merge(options))
      end

      def decode(bytes, options = {})
        super(bytes, LIMIT.merge(options))
      end
    end

    [V1::ResourceSpans, V1::ScopeSpans, V1::Span, V1::SignSpanRequest, V1::SignSpansRequest, V1::VerifySpanRequest]
      .each { |message| message.singleton_class.prepend(DeepMessages) }
  end
end
