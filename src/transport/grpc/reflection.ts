/**
 * gRPC reflection (v1 and v1alpha), fed with the descriptors of the generated code, so that grpcurl sees the well-known
 * types, google.rpc's details and Health as they are. Proto-loader's own descriptors would lack them.
 */
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { file_google_rpc_error_details } from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../../../gen/ts/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "../../../gen/ts/grpc/health/v1/health_pb.ts";

const always = [file_google_rpc_status, file_google_rpc_error_details, file_grpc_health_v1_health];

export function reflectionService(services: readonly DescService[]): ReflectionService {
  const files = new Set<DescFile>();
  const collect = (file: DescFile): void => {
    if (files.has(file)) return;
    file.dependencies.forEach(collect);
    files.add(file);
  };
  for (const file of [...services.map(({ file }) => file), ...always]) collect(file);
  const fileDescriptorProtos = [...files].map((file) => Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  const image = { format: "Protocol Buffer 3 DescriptorProto", type: {}, fileDescriptorProtos };
  return new ReflectionService({ image } as unknown as PackageDefinition);
}
