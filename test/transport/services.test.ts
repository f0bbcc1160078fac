/** More than one service on both transports: KeyAdminService beside KmsService, with handlers of the test's making. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DisableKeyResponseSchema, KeySchema, ListKeysResponseSchema } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusResponseSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { otlpSettings } from "../../src/config/otlp.ts";
import { KmsError } from "../../src/errors.ts";
import type { KeyAdminHandlers } from "../../src/service/key-admin/handlers.ts";
import type { KmsHandlers } from "../../src/service/kms/handlers.ts";
import { realTime } from "../../src/runtime/time.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { keyAdminService, type KmsStreams, kmsService } from "../../src/transport/services.ts";
import { callRecorder } from "../../src/transport/call-recorder.ts";
import { connectFailureOf, postJson } from "../support/api-fixture.ts";
import { failureOf } from "../support/running-service.ts";
import { startTransports, type Transports } from "../support/transports-fixture.ts";
import { askReflection, filesIn } from "../support/reflection-client.ts";

const keyId = "00112233445566778899aabbccddeeff";

const admin: Partial<KeyAdminHandlers> = {
  listKeys: ({ pageSize }) => create(ListKeysResponseSchema, { nextPageToken: `after ${pageSize}` }),
  async disableKey(request) {
    const version = { tenantId: request.tenantId, keyId: request.keyId };
    return create(DisableKeyResponseSchema, { key: create(KeySchema, { version }) });
  },
  enableKey() {
    throw new KmsError("NOT_FOUND", "no such key");
  },
  async cancelKeyDestruction() {
    throw new Error("a bug");
  },
};

let transports: Transports;
beforeAll(async () => {
  transports = await startTransports({ status: () => create(StatusResponseSchema, { provider: "fake" }) }, { admin });
});
afterAll(() => transports.stop());

describe("a call of the second service that fails", () => {
  it("is INVALID_ARGUMENT where its bytes do not parse", async () => {
    const call = transports.grpc.raw(KeyAdminService.method.disableKey, Buffer.of(0x0a, 0xff));
    const { code, message } = await failureOf(call);
    expect(code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(message).toContain("fluo.kms.v1.DisableKeyRequest");
  });
});

describe("JSON of the second service", () => {
  const post = (method: string, body: unknown) =>
    postJson(`${transports.url}/${KeyAdminService.typeName}/${method}`, body);

  it("is answered in JSON", async () => {
    const { status, body } = await post("DisableKey", { tenant_id: "acme", keyId });
    expect([status, body]).toEqual([200, { key: { version: { tenantId: "acme", keyId } } }]);
  });

  it.each([
    ["an unknown field", { tenantid: "acme" }, "tenantid"],
    ["a field of the wrong type", { tenantId: 7 }, "tenant_id"],
    ["an integer that is rounded", '{"days":9007199254740993}', "days"],
  ])("is refused with %s, which it names", async (_what, body, field) => {
    const answer = await post("ScheduleKeyDestruction", body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "invalid_argument", message: expect.stringContaining(field) });
  });

  it.each(["ListKeys", "ListAuditEvents", "VerifyAudit"])("is not taken by GET: %s", async (method) => {
    const query = "connect=v1&encoding=json&message=%7B%7D";
    expect((await fetch(`${transports.url}/${KeyAdminService.typeName}/${method}?${query}`)).status).toBe(405);
  });
});

it("a method of one service is none of the other", async () => {
  const wrong = { ...KmsService.method.status, parent: KeyAdminService } as unknown as typeof KmsService.method.status;
  const { code } = await failureOfRaw(transports.grpc.raw(wrong, new Uint8Array()));
  expect(code).toBe(grpc.status.UNIMPLEMENTED);
  const { status } = await fetch(`${transports.url}/${KeyAdminService.typeName}/Status`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  expect(status).toBe(404);
});

/** Of a call that no handler answers: grpc-js's own refusal has no details. */
function failureOfRaw(call: Promise<unknown>): Promise<grpc.ServiceError> {
  return call.then(
    () => {
      throw new Error("expected the call to fail, but it succeeded");
    },
    (error: grpc.ServiceError) => error,
  );
}

describe("what follows from the services", () => {
  it("is a zero for the errors of each rpc, and a count by its name", async () => {
    const fresh = await startTransports({}, { admin });
    const before = await fresh.metrics();
    for (const { name } of [...KmsService.methods, ...KeyAdminService.methods]) {
      expect(before).toContain(`kms_errors_total{operation="${name}",code="INTERNAL"} 0`);
    }
    await failureOf(fresh.grpc.admin.cancelKeyDestruction({}));
    await connectFailureOf(fresh.connect.admin.cancelKeyDestruction({}));
    await failureOf(fresh.grpc.admin.enableKey({}));
    const after = await fresh.metrics();
    expect(after).toContain('kms_errors_total{operation="CancelKeyDestruction",code="INTERNAL"} 2');
    expect(after).toContain('kms_errors_total{operation="EnableKey",code="NOT_FOUND"} 1');
    await fresh.stop();
  });

  it("is what a refused JSON request counts as", async () => {
    await postJson(`${transports.url}/${KeyAdminService.typeName}/MarkKeyCompromised`, "{");
    const row = 'kms_errors_total{operation="MarkKeyCompromised",code="INVALID_ARGUMENT"} 1';
    expect(await transports.metrics()).toContain(row);
  });

  it("is the name of a span", async () => {
    const names: string[] = [];
    const nothing = async () => {};
    const collector = { onStart() {}, onEnd: ({ name }: { name: string }) => void names.push(name) };
    const provider = new TracerProvider({
      spanProcessors: [{ ...collector, forceFlush: nothing, shutdown: nothing }],
    });
    const { instruments, shutdown } = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp }, realTime);
    const { run } = callRecorder({
      instruments,
      tracer: provider.getTracer("test"),
      log: pino({ level: "silent" }),
      time: realTime,
      services: [kmsService({} as KmsHandlers, {} as KmsStreams), keyAdminService({} as KeyAdminHandlers)],
    });
    await run(
      KeyAdminService.method.disableKey,
      () => undefined,
      () => 1,
    );
    await run(
      KmsService.method.status,
      () => undefined,
      () => 1,
    );
    expect(names).toEqual(["fluo.kms.v1.KeyAdminService/DisableKey", "fluo.kms.v1.KmsService/Status"]);
    await shutdown();
  });

  it("is what reflection lists and describes", async () => {
    const { listServicesResponse } = await askReflection(transports.grpcAddress, "v1", { listServices: "" });
    expect(listServicesResponse?.service.map(({ name }) => name)).toEqual(
      expect.arrayContaining([KmsService.typeName, KeyAdminService.typeName, "grpc.health.v1.Health"]),
    );
    const symbol = { fileContainingSymbol: "fluo.kms.v1.KeyAdminService.ListKeys" };
    const files = filesIn(await askReflection(transports.grpcAddress, "v1", symbol)).map(({ name }) => name);
    expect(files).toEqual(
      expect.arrayContaining(["fluo/kms/v1/key_admin_service.proto", "fluo/kms/v1/key_admin.proto"]),
    );
  });

  it.each(["", KmsService.typeName, KeyAdminService.typeName])('is the health of "%s"', async (service) => {
    transports.becomes("down");
    expect(await healthOf(service)).toBe(Serving.NOT_SERVING);
    transports.becomes("degraded");
    expect(await healthOf(service)).toBe(Serving.SERVING);
  });
});

function healthOf(service: string): Promise<Serving> {
  const client = new grpc.Client(transports.grpcAddress, grpc.credentials.createInsecure());
  const request = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
  return new Promise<Serving>((resolve, reject) =>
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status,
      request,
      (error, status) => (error ? reject(error) : resolve(status as Serving)),
    ),
  ).finally(() => client.close());
}
