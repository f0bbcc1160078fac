# frozen_string_literal: true

require_relative "lib/fluo/kms/version"

Gem::Specification.new do |spec|
  spec.name = "fluo-kms"
  spec.version = Fluo::Kms::VERSION
  spec.authors = ["FLUO"]
  spec.summary = "gRPC stubs of the fluo-kms key service"
  spec.description = "Signs OTLP spans, encrypts PII and gets data keys from a fluo-kms service: its generated " \
                     "gRPC stubs, and the channel arguments that retry and keep connections alive."
  spec.homepage = "https://github.com/fluo-dev/fluo-kms"
  spec.license = "Apache-2.0"
  spec.required_ruby_version = ">= 3.1"
  spec.metadata = {
    "source_code_uri" => "https://github.com/fluo-dev/fluo-kms/tree/main/clients/ruby",
    "changelog_uri" => "https://github.com/fluo-dev/fluo-kms/blob/main/clients/ruby/CHANGELOG.md",
    "bug_tracker_uri" => "https://github.com/fluo-dev/fluo-kms/issues",
    "rubygems_mfa_required" => "true"
  }

  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*.rb"] + %w[CHANGELOG.md LICENSE README.md] }

  # The oldest versions that load the generated code; it reads its descriptors by DescriptorPool#add_serialized_file.
  spec.add_runtime_dependency "google-protobuf", ">= 3.21", "< 5"
  # Has google.rpc.ErrorInfo, BadRequest and RetryInfo, the details of errors.
  spec.add_runtime_dependency "googleapis-common-protos-types", ">= 1.4", "< 2"
  spec.add_runtime_dependency "grpc", ">= 1.51", "< 2"
end
