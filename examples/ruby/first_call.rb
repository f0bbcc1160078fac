# frozen_string_literal: true

require "fluo-kms"

kms = Fluo::Kms::V1::KmsService::Stub.new(
  "localhost:9000", :this_channel_is_insecure, timeout: 10, channel_args: Fluo::Kms::CHANNEL_ARGS
)

email = Fluo::Kms::V1::PlainField.new(name: "email", value: "ann@example.com")
encrypted = kms.encrypt_pii(Fluo::Kms::V1::EncryptPiiRequest.new(tenant_id: "acme", fields: [email]))
puts encrypted.fields.first.token

fields = encrypted.fields.to_a
decrypted = kms.decrypt_pii(Fluo::Kms::V1::DecryptPiiRequest.new(tenant_id: "acme", fields:)).fields.first
raise decrypted.error.message if decrypted.result == :error

puts decrypted.value
