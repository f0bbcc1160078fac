# frozen_string_literal: true

require "securerandom"

# Signs, encrypts and is refused as the scenario says, and writes the evidence.
class Produce
  include Fluo::Kms::V1

  def initialize(world, report)
    @world = world
    @report = report
  end

  def run
    evidence = { language: "ruby", individual: message(individual), log: message(log), tokens:,
                 context: @world.scenario.fetch("context"), blob: }
    refusal
    deadline
    pages
    File.write(@world.fields.fetch("out"), JSON.generate(evidence))
  end

  private

  def tenant_id
    @world.tenant_id
  end

  def message(resource_spans)
    @world.base64(ResourceSpans.encode(resource_spans))
  end

  def individual
    batch = @world.batch
    batch.scope_spans.each do |scope_spans|
      scope_spans.spans.each do |span|
        request = SignSpanRequest.new(tenant_id:, span:, resource: batch.resource, scope: scope_spans.scope)
        span.attributes.push(*@world.kms.sign_span(request).attributes)
      end
    end
    batch
  end

  def log
    batch = @world.batch
    spans = batch.scope_spans.flat_map { |scope_spans| scope_spans.spans.to_a }
    request_id = SecureRandom.uuid
    first, second = Array.new(2) { signed(request_id) }
    @report.check("results of the batch", first.length, spans.length)
    @report.check("indices of a repeated batch", second.map(&:leaf_index), first.map(&:leaf_index))
    @report.check("a leaf index each", first.all?(&:has_leaf_index?), true)
    spans.zip(first) { |span, signed| span.attributes.push(*signed.attributes) }
    batch
  end

  def signed(request_id)
    request = SignSpansRequest.new(tenant_id:, mode: :SIGN_MODE_LOG, request_id:, with_attributes: true,
                                   resource_spans: [@world.batch])
    # A stream has no deadline of its own: one is needed, or a service that hangs would hang the program.
    answers = @world.kms.sign_spans([request], deadline: Time.now + 60)
    answers.flat_map { |answer| answer.results.to_a }.map do |result|
      raise "a span was refused: #{result.error.message}" if result.result == :error

      result.signed
    end
  end

  def tokens
    fields = @world.scenario.fetch("fields").map do |field|
      PlainField.new(name: field.fetch("name"), value: @world.bytes(field.fetch("value")))
    end
    request = EncryptPiiRequest.new(tenant_id:, fields:, encryption_context: @world.scenario.fetch("context"))
    @world.kms.encrypt_pii(request).fields.map { |field| { name: field.name, token: field.token } }
  end

  def blob
    request = GenerateDataKeyRequest.new(tenant_id:, encryption_context: @world.scenario.fetch("context"))
    @world.base64(@world.kms.generate_data_key(request).ciphertext_blob)
  end

  def refusal
    expected = @world.scenario.fetch("refused")
    code = GRPC::Core::StatusCodes.const_get(expected.fetch("code"))
    error = @report.refused("the refusal", code) do
      @world.kms.generate_data_key(GenerateDataKeyRequest.new(tenant_id: expected.fetch("tenant")))
    end
    return if error.nil?

    details = error.to_rpc_status.details
    reasons = details.filter_map { |detail| detail.unpack(Google::Rpc::ErrorInfo)&.reason }
    fields = details.filter_map { |detail| detail.unpack(Google::Rpc::BadRequest) }
                    .flat_map { |bad| bad.field_violations.map(&:field) }
    @report.check("the refusal's reason", reasons, [expected.fetch("reason")])
    @report.check("the refused field", fields, [expected.fetch("field")])
  end

  def deadline
    @report.refused("a call without time", GRPC::Core::StatusCodes::DEADLINE_EXCEEDED) do
      @world.kms.status(StatusRequest.new(tenant_id:), deadline: Time.now + 0.000001)
    end
  end

  def pages
    one, all = [1, 100].map { |page_size| listed_keys(page_size) }
    @report.check("keys page by page", one, all)
    @report.check("at least two keys", all.length >= 2, true)
    one, all = [1, 100].map { |page_size| public_keys(page_size) }
    @report.check("public keys page by page", one.sort, all.sort)
  end

  def listed_keys(page_size)
    each_page do |page_token|
      page = @world.key_admin.list_keys(ListKeysRequest.new(tenant_id:, page_size:, page_token:))
      [page.keys.map { |key| key.version.key_id }, page.next_page_token]
    end
  end

  def public_keys(page_size)
    each_page do |page_token|
      page = @world.kms.get_public_keys(GetPublicKeysRequest.new(tenant_id:, page_size:, page_token:))
      [page.keys.map(&:key_id), page.next_page_token]
    end
  end

  # Collects what the block returns of each page, beside the token of the next one.
  def each_page
    ids = []
    token = ""
    loop do
      page, token = yield token
      ids.concat(page)
      return ids if token.empty?
    end
  end
end
