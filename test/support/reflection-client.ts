/** gRPC reflection, asked with the protos that @grpc/reflection brings, as grpcurl would ask. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export interface ReflectionAnswer {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
  errorResponse?: { errorCode: number };
}

const protos = join(dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json")), "build/proto");

/** One question, one answer, in one version of the protocol. */
export function askReflection(
  address: string,
  version: "v1" | "v1alpha",
  question: Record<string, string>,
  metadata = new grpc.Metadata(),
): Promise<ReflectionAnswer> {
  const file = join(protos, `grpc/reflection/${version}/reflection.proto`);
  const definition = loadSync(file)[`grpc.reflection.${version}.ServerReflection`] as grpc.ServiceDefinition;
  const Client = grpc.makeGenericClientConstructor(definition, "ServerReflection");
  const client = new Client(address, grpc.credentials.createInsecure());
  const stream = client.ServerReflectionInfo!(metadata) as grpc.ClientDuplexStream<object, ReflectionAnswer>;
  return new Promise<ReflectionAnswer>((resolve, reject) => {
    stream.on("data", resolve).on("error", reject);
    stream.write(question);
    stream.end();
  }).finally(() => client.close());
}

export function filesIn({ fileDescriptorResponse }: ReflectionAnswer): FileDescriptorProto[] {
  return (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}
