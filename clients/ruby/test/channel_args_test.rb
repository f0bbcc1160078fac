# frozen_string_literal: true

require "minitest/autorun"
require "fluo-kms"

# The service config against the services as they are generated.
class ChannelArgsTest < Minitest::Test
  SERVICES = [Fluo::Kms::V1::KmsService, Fluo::Kms::V1::LogService, Fluo::Kms::V1::KeyAdminService].freeze
  ONCE = %w[
    Rotate Validate DisableKey EnableKey MarkKeyCompromised ScheduleKeyDestruction CancelKeyDestruction RewrapKeys
    VerifyAudit AcceptRollback
  ].freeze

  def test_decides_for_every_unary_method_whether_it_may_be_repeated
    unary = SERVICES.flat_map do |service|
      descriptions = service::Service.rpc_descs.reject { |_, desc| desc.bidi_streamer? }
      descriptions.keys.map { |method| [service::Service.service_name, method.to_s] }
    end
    repeated = Fluo::Kms::REPEATABLE_METHODS.flat_map { |service, methods| methods.map { |method| [service, method] } }

    assert_equal unary.reject { |_, method| ONCE.include?(method) }.sort, repeated.sort
  end

  def test_names_no_stream_in_the_service_config
    names = JSON.parse(Fluo::Kms::CHANNEL_ARGS.fetch("grpc.service_config")).dig("methodConfig", 0, "name")

    assert_includes names, { "service" => "fluo.kms.v1.KmsService", "method" => "Status" }
    refute_includes names, { "service" => "fluo.kms.v1.KmsService", "method" => "SignSpans" }
    assert(names.all? { |name| name.key?("method") })
  end

  def test_has_a_version_that_rubygems_reads
    assert Gem::Version.correct?(Fluo::Kms::VERSION)
  end
end
