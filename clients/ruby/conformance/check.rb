# frozen_string_literal: true

# Has the service judge the evidence of each language.
class Check
  include Fluo::Kms::V1

  def initialize(world, report)
    @world = world
    @report = report
  end

  def run
    @world.fields.fetch("evidence").each do |path|
      evidence = JSON.parse(File.read(path, encoding: "UTF-8"))
      @language = evidence.fetch("language")
      @context = evidence.fetch("context")
      %w[individual log].each { |kind| spans(kind, evidence.fetch(kind)) }
      tokens(evidence.fetch("tokens"))
      blob(evidence.fetch("blob"))
    end
  end

  private

  def tenant_id
    @world.tenant_id
  end

  def check(what, actual, expected)
    @report.check("#{what} of #{@language}", actual, expected)
  end

  def expected(kind)
    (@world.fields["expectService"] || @world.fields["expect"] || {}).fetch(kind, "OK")
  end

  def spans(kind, base64)
    batch = ResourceSpans.decode(@world.bytes(base64))
    batch.scope_spans.each do |scope_spans|
      scope_spans.spans.each do |span|
        request = VerifySpanRequest.new(tenant_id:, span:, resource: batch.resource, scope: scope_spans.scope)
        check("#{kind} span", reason(request), expected(kind))
        span.name = "#{span.name}!"
        check("altered #{kind} span", @world.kms.verify_span(request).verified, false)
      end
    end
  end

  def reason(request)
    @world.kms.verify_span(request).reason.to_s.delete_prefix("VERIFY_REASON_")
  end

  def tokens(tokens)
    fields = tokens.map { |token| EncryptedField.new(name: token.fetch("name"), token: token.fetch("token")) }
    expected = @world.scenario.fetch("fields").map { |field| @world.bytes(field.fetch("value")) }
    check("tokens", values(fields, @context), expected)
    other = [EncryptedField.new(name: "other", token: fields.first.token)]
    check("a token under another name", values(other, @context), [3])
    again = ReEncryptPiiRequest.new(tenant_id:, fields:, encryption_context: @context)
    newer = @world.kms.re_encrypt_pii(again).fields.map do |field|
      EncryptedField.new(name: field.name, token: field.token)
    end
    check("re-encrypted tokens", values(newer, @context), expected)
    check("tokens in another context", values(fields, { "other" => "context" }).uniq, [3])
  end

  # The value of each field, or the code of its error.
  def values(fields, context)
    request = DecryptPiiRequest.new(tenant_id:, fields:, encryption_context: context)
    @world.kms.decrypt_pii(request).fields.map { |field| field.result == :error ? field.error.code : field.value }
  end

  def blob(base64)
    request = DecryptDataKeyRequest.new(tenant_id:, ciphertext_blob: @world.bytes(base64), encryption_context: @context)
    check("length of the data key", @world.kms.decrypt_data_key(request).plaintext.bytesize, 32)
  end
end
