/** Messages, enums and services of fluo.kms.v1, as protobuf-es generates them. The only file that names where they lie. */
export * from "../../../gen/ts/fluo/kms/v1/audit_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/item_error_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/log_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/rewrap_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/rotation_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
export * from "../../../gen/ts/fluo/kms/v1/span_pb.ts";
export * from "../../../gen/ts/google/rpc/error_details_pb.ts";
export { type Status, StatusSchema } from "../../../gen/ts/google/rpc/status_pb.ts";
