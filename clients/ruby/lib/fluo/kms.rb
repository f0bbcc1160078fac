# frozen_string_literal: true

# Timestamp#to_time, and Any#unpack for the details of errors.
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "fluo/kms/channel_args"
require "fluo/kms/deep_messages"
require "fluo/kms/v1/key_admin_service_services_pb"
require "fluo/kms/v1/kms_service_services_pb"
require "fluo/kms/v1/log_service_services_pb"
require "fluo/kms/version"

module Fluo
  # The fluo-kms key service. Fluo::Kms::V1 has its messages, and a Stub in each of KmsService, LogService and
  # KeyAdminService.
  module Kms
  end
end
