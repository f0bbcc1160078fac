/** A service that is not there, or says when to come again, as the tenant of a request has it; and when it was called. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, type DurationSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { StatusRequestSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";

export interface PushbackServer {
  address: string;
  /** When a method was called, in milliseconds, by `Method tenant`. */
  calls: ReadonlyMap<string, readonly number[]>;
  stop(): void;
}

type Refusal = Partial<grpc.ServiceError>;

export const pushbackMs = 1_500;

function refusal(code: grpc.status, metadata: Record<string, string | Buffer> = {}): Refusal {
  const trailers = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) trailers.set(name, value);
  return { code, details: "not now", metadata: trailers };
}

function withDetails(): Buffer {
  const retryDelay: MessageInitShape<typeof DurationSchema> = { seconds: 7n, nanos: 500_000_000 };
  const details = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "QUOTA", domain: "fluo.dev" })),
    anyPack(
      BadRequestSchema,
      create(BadRequestSchema, { fieldViolations: [{ field: "a.b", description: "too many" }] }),
    ),
    anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })),
  ];
  const status = create(StatusSchema, { code: grpc.status.RESOURCE_EXHAUSTED, message: "not now", details });
  return Buffer.from(toBinary(StatusSchema, status));
}

/** Undefined for an empty response. `before` counts the calls until then. */
const answers: Readonly<Record<string, (before: number) => Refusal | undefined>> = {
  "unavailable-twice": (before) => (before < 2 ? refusal(grpc.status.UNAVAILABLE) : undefined),
  "exhausted-once": (before) =>
    before < 1 ? refusal(grpc.status.RESOURCE_EXHAUSTED, { "grpc-retry-pushback-ms": String(pushbackMs) }) : undefined,
  never: () => refusal(grpc.status.UNAVAILABLE, { "grpc-retry-pushback-ms": "-1" }),
  always: () => refusal(grpc.status.UNAVAILABLE),
  invalid: () => refusal(grpc.status.INVALID_ARGUMENT),
  details: () =>
    refusal(grpc.status.RESOURCE_EXHAUSTED, {
      "grpc-retry-pushback-ms": "-1",
      "grpc-status-details-bin": withDetails(),
    }),
  // VerifyAudit names no tenant.
  "": () => refusal(grpc.status.UNAVAILABLE),
};

const methods = [
  ...[KmsService.method.status, KmsService.method.rotate, KmsService.method.validate],
  ...[LogService.method.getCheckpoint, KeyAdminService.method.listKeys],
  ...[KeyAdminService.method.verifyAudit, KeyAdminService.method.disableKey],
];

export async function startPushbackServer(): Promise<PushbackServer> {
  const calls = new Map<string, number[]>();
  const server = new grpc.Server();
  for (const { parent, name, localName } of methods) {
    const pass = (bytes: Uint8Array) => Buffer.from(bytes);
    const definition = {
      [localName]: {
        path: `/${parent.typeName}/${name}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    };
    server.addService(definition as grpc.ServiceDefinition, {
      [localName](call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        // The tenant is field 1 of every request that has one.
        const { tenantId } = fromBinary(StatusRequestSchema, call.request);
        const called = `${name} ${tenantId}`;
        const times = calls.get(called) ?? [];
        calls.set(called, times);
        const refused = answers[tenantId]?.(times.push(performance.now()) - 1);
        if (refused === undefined) callback(null, Buffer.alloc(0));
        else callback(refused);
      },
    });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { address: `127.0.0.1:${port}`, calls, stop: () => server.forceShutdown() };
}
