# frozen_string_literal: true

require "json"

module Fluo
  module Kms
    # Unary methods that the channel may repeat, by service. A repeated Rotate would make another version, Validate
    # costs calls at the provider, and VerifyAudit reads the whole trail. A change of a key is the caller's to repeat.
    REPEATABLE_METHODS = {
      "fluo.kms.v1.KmsService" => %w[
        GenerateDataKey DecryptDataKey EncryptPii DecryptPii ReEncryptPii SignSpan VerifySpan GetPublicKeys Status
      ].freeze,
      "fluo.kms.v1.LogService" => %w[GetCheckpoint GetInclusionProof GetConsistencyProof].freeze,
      "fluo.kms.v1.KeyAdminService" => %w[ListKeys ListAuditEvents].freeze
    }.freeze

    # Largest message of the service, in bytes, in both directions.
    MAX_MESSAGE_BYTES = 4 * 1024 * 1024

    # gRPC service config: 4 attempts at each repeatable method, about 0.1 s, 0.2 s and 0.4 s apart. A server's pushback
    # wins over that.
    SERVICE_CONFIG = {
      methodConfig: [
        {
          name: REPEATABLE_METHODS.flat_map { |service, methods| methods.map { |method| { service:, method: } } },
          retryPolicy: {
            maxAttempts: 4,
            initialBackoff: "0.1s",
            maxBackoff: "2s",
            backoffMultiplier: 2,
            retryableStatusCodes: %w[UNAVAILABLE RESOURCE_EXHAUSTED]
          }
        }
      ]
    }.freeze

    # channel_args of a stub: retries by SERVICE_CONFIG, a ping each 30 s while calls are open, the limit of messages.
    CHANNEL_ARGS = {
      "grpc.enable_retries" => 1,
      "grpc.service_config" => JSON.generate(SERVICE_CONFIG),
      "grpc.keepalive_time_ms" => 30_000,
      "grpc.keepalive_timeout_ms" => 20_000,
      "grpc.keepalive_permit_without_calls" => 0,
      # A stream that waits for an answer sends nothing; without this, keepalive would end after two pings.
      "grpc.http2.max_pings_without_data" => 0,
      "grpc.max_send_message_length" => MAX_MESSAGE_BYTES,
      "grpc.max_receive_message_length" => MAX_MESSAGE_BYTES
    }.freeze
  end
end
