# frozen_string_literal: true

# What a command is given: the fields of WORLD.json, the scenario, and stubs of the service.
class World
  include Fluo::Kms::V1

  attr_reader :fields

  def initialize(fields)
    @fields = fields
  end

  def scenario
    @scenario ||= JSON.parse(File.read(fields.fetch("scenario"), encoding: "UTF-8"))
  end

  def tenant_id
    scenario.fetch("tenant")
  end

  def kms
    @kms ||= stub(KmsService)
  end

  def key_admin
    @key_admin ||= stub(KeyAdminService)
  end

  def log
    @log ||= stub(LogService)
  end

  # The scenario's batch, a message of its own each time.
  def batch
    ResourceSpans.decode(bytes(scenario.fetch("batch")))
  end

  def bytes(base64)
    base64.unpack1("m0")
  end

  def base64(bytes)
    [bytes].pack("m0")
  end

  private

  def stub(service)
    service::Stub.new(fields.fetch("service"), :this_channel_is_insecure, timeout: 10,
                                                                          channel_args: Fluo::Kms::CHANNEL_ARGS)
  end
end
