/** gRPC reflection, asked with the protos that @grpc/reflection brings, as grpcurl would ask. */
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../running-service.ts";

interface Answer {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
  errorResponse?: { errorCode: number };
}

const protos = join(dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json")), "build/proto");

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => service.stop());

/** One question, one answer, in one version of the protocol. */
function ask(version: "v1" | "v1alpha", question: Record<string, string>): Promise<Answer> {
  const file = join(protos, `grpc/reflection/${version}/reflection.proto`);
  const definition = loadSync(file)[`grpc.reflection.${version}.ServerReflection`] as grpc.ServiceDefinition;
  const Client = grpc.makeGenericClientConstructor(definition, "ServerReflection");
  const client = new Client(`127.0.0.1:${service.grpcPort}`, grpc.credentials.createInsecure());
  const stream = client.ServerReflectionInfo!() as grpc.ClientDuplexStream<object, Answer>;
  return new Promise<Answer>((resolve, reject) => {
    stream.on("data", resolve).on("error", reject);
    stream.write(question);
    stream.end();
  }).finally(() => client.close());
}

function filesIn({ fileDescriptorResponse }: Answer): FileDescriptorProto[] {
  return (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

describe.each(["v1", "v1alpha"] as const)("reflection %s", (version) => {
  it("lists the services", async () => {
    const { listServicesResponse } = await ask(version, { listServices: "" });
    const names = listServicesResponse?.service.map(({ name }) => name);
    expect(names).toContain("fluo.kms.v1.KmsService");
    expect(names).toContain("grpc.health.v1.Health");
  });

  it.each([
    ["fluo.kms.v1.KmsService", "fluo/kms/v1/kms_service.proto"],
    ["fluo.kms.v1.KmsService.SignSpan", "fluo/kms/v1/kms_service.proto"],
    ["fluo.kms.v1.Span.Event", "fluo/kms/v1/span.proto"],
    ["grpc.health.v1.Health", "grpc/health/v1/health.proto"],
    ["google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
    ["google.rpc.BadRequest", "google/rpc/error_details.proto"],
    ["google.rpc.Status", "google/rpc/status.proto"],
  ])("finds %s", async (symbol, file) => {
    const files = filesIn(await ask(version, { fileContainingSymbol: symbol }));
    expect(files.map(({ name }) => name)).toContain(file);
  });

  it("gives with a file all that it imports, so that a client can build it", async () => {
    const files = filesIn(await ask(version, { fileContainingSymbol: "fluo.kms.v1.KmsService" }));
    const names = files.map(({ name }) => name);
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
    expect(names).toContain("google/protobuf/timestamp.proto");
  });

  it("finds a file by its name, with every rpc", async () => {
    const files = filesIn(await ask(version, { fileByFilename: "fluo/kms/v1/kms_service.proto" }));
    const [kms] = files.filter(({ name }) => name === "fluo/kms/v1/kms_service.proto").map((file) => file.service[0]);
    expect(kms?.method.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["SignSpan", "SignSpans", "EncryptPii"]),
    );
  });

  it("says that there is no such symbol", async () => {
    const { errorResponse } = await ask(version, { fileContainingSymbol: "fluo.kms.v1.Nothing" });
    expect(errorResponse?.errorCode).toBe(grpc.status.NOT_FOUND);
  });
});
