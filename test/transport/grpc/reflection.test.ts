/** What gRPC reflection says of the real service. */
import { constants } from "node:http2";
import { setTimeout } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { frame } from "../../support/raw-stream.ts";
import { type RunningService, startService } from "../../support/running-service.ts";
import { askReflection, filesIn } from "../../support/reflection-client.ts";
import { rawStream } from "../../support/stream-fixture.ts";

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});

afterAll(() => service.stop());

const ask = (version: "v1" | "v1alpha", question: Record<string, string>) =>
  askReflection(`127.0.0.1:${service.grpcPort}`, version, question);

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

it("a stream that asks on and does not read is reset, and one that reads may ask as often as it likes", async () => {
  const path = { ":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" };
  const name = Buffer.from(KmsService.typeName);
  const question = frame(Buffer.concat([Buffer.of(0x22, name.length), name])); // file_containing_symbol
  for (const reads of [true, false]) {
    const { stream, reset } = rawStream(`127.0.0.1:${service.grpcPort}`, path);
    if (reads) stream.resume();
    for (let each = 0; each < 100 && !stream.closed; each += 1) {
      await new Promise<void>((resolve) => stream.write(question, () => resolve()));
      if (reads) await setTimeout(2);
    }
    stream.end();
    stream.resume();
    expect(await reset).toBe(reads ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
});
