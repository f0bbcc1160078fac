# frozen_string_literal: true

# Calls a stand-in that answers by the tenant's name, and holds the channel to what it repeats.
class Pushback
  include Fluo::Kms::V1
  include GRPC::Core::StatusCodes

  def initialize(world, report)
    @world = world
    @report = report
  end

  def run
    answered
    refused
    details
    never_repeated
  end

  private

  def status(tenant_id)
    @world.kms.status(StatusRequest.new(tenant_id:))
  end

  def answers(what)
    yield
    @report.check(what, true, true)
  rescue GRPC::BadStatus => e
    @report.fail(what, e.message)
  end

  def answered
    tenant_id = "unavailable-twice"
    answers("Status, unavailable twice") { status(tenant_id) }
    answers("GetCheckpoint, unavailable twice") { @world.log.get_checkpoint(GetCheckpointRequest.new(tenant_id:)) }
    answers("ListKeys, unavailable twice") { @world.key_admin.list_keys(ListKeysRequest.new(tenant_id:)) }
    began = now
    answers("Status, exhausted once") { status("exhausted-once") }
    @report.check("the server's pushback is waited for", now - began >= 1.5, true)
  end

  def refused
    @report.refused("Status, never again", UNAVAILABLE) { status("never") }
    @report.refused("Status, always unavailable", UNAVAILABLE) { status("always") }
    @report.refused("Status, invalid", INVALID_ARGUMENT) { status("invalid") }
  end

  def details
    error = @report.refused("Status, with details", RESOURCE_EXHAUSTED) { status("details") }
    return if error.nil?

    details = error.to_rpc_status.details
    info, bad, retrying = [Google::Rpc::ErrorInfo, Google::Rpc::BadRequest, Google::Rpc::RetryInfo].map do |type|
      details.filter_map { |detail| detail.unpack(type) }.first
    end
    @report.check("the reason", info&.reason, "QUOTA")
    fields = bad&.field_violations&.map { |each| [each.field, each.description] }
    @report.check("the fields", fields, [["a.b", "too many"]])
    @report.check("when to retry", retrying && (retrying.retry_delay.seconds + (retrying.retry_delay.nanos / 1e9)), 7.5)
  end

  def never_repeated
    tenant_id = "always"
    @report.refused("Rotate", UNAVAILABLE) { @world.kms.rotate(RotateRequest.new(tenant_id:)) }
    @report.refused("Validate", UNAVAILABLE) { @world.kms.validate(ValidateRequest.new(tenant_id:)) }
    @report.refused("VerifyAudit", UNAVAILABLE) { @world.key_admin.verify_audit(VerifyAuditRequest.new) }
    @report.refused("DisableKey", UNAVAILABLE) { @world.key_admin.disable_key(DisableKeyRequest.new(tenant_id:)) }
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
