/** The real service in this process, on free loopback ports, and real clients of it: generated stubs over @grpc/grpc-js, and Connect. */
import {
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  create,
  toBinary,
} from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { createRegistry } from "@bufbuild/protobuf";
import type { RunningServer } from "../../src/server.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";
import { inMemory } from "./in-memory.ts";

export interface RunningService extends RunningServer {
  grpc: GrpcClient;
  connect: ConnectClient;
  /** `http://127.0.0.1:port` */
  url: string;
}

/** `properties` by their names in application.properties, `bounds` in place of constants. The service is loaded here, as most who need its clients start it elsewhere. */
export async function startService(
  properties: Record<string, string> = {},
  time: Time = realTime,
  bounds: Partial<ConnectionSettings> = {},
): Promise<RunningService> {
  const [{ loadConfig }, { startServer }] = await Promise.all([
    import("../../src/config/load.ts"),
    import("../../src/server.ts"),
  ]);
  const defaults = { "fluo.kms.grpc.port": "0", "fluo.kms.http.port": "0", "fluo.kms.log.level": "silent" };
  const env = Object.entries({ ...defaults, ...properties }).map(([name, value]) => [
    name.replace(/[^a-zA-Z0-9]/g, "_").toUpperCase(),
    value,
  ]);
  const config = loadConfig({ env: inMemory(Object.fromEntries(env)), cwd: import.meta.dirname });
  const connections = { ...config.connections, ...bounds };
  const server = await startServer({ ...config, connections }, time);
  const url = `http://127.0.0.1:${server.httpPort}`;
  const client = grpcClient(`127.0.0.1:${server.grpcPort}`);
  return {
    ...server,
    url,
    grpc: client,
    connect: connectClient(createConnectTransport({ baseUrl: url, httpVersion: "1.1" })),
    async stop() {
      client.close();
      await server.stop();
    },
  };
}

/** A failed call as a client sees it. */
export interface CallFailure {
  code: grpc.status;
  message: string;
  /** Paths of the BadRequest detail. */
  fields: string[];
  /** Of the ErrorInfo detail. */
  reason: string | undefined;
  /** Whether there is a RetryInfo detail. */
  retry: boolean;
}

type Calls<Methods> = {
  [Name in keyof Methods as Methods[Name] extends DescMethodUnary
    ? Name
    : never]: Methods[Name] extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageInitShape<Input>, options?: Partial<grpc.CallOptions>) => Promise<MessageShape<Output>>
    : never;
};

type KmsCalls = Calls<typeof KmsService.method>;

export type ConnectClient = Client<typeof KmsService> & {
  admin: Client<typeof KeyAdminService>;
  logs: Client<typeof LogService>;
};

export type GrpcClient = KmsCalls & {
  admin: Calls<typeof KeyAdminService.method>;
  logs: Calls<typeof LogService.method>;
  /** Sends any bytes as the request of a method, and gives back the answer's bytes. */
  raw(
    method: keyof KmsCalls | DescMethod,
    request: Uint8Array,
    options?: Partial<grpc.CallOptions>,
    metadata?: grpc.Metadata,
  ): Promise<Uint8Array>;
  close(): void;
};

export function connectClient(transport: Transport): ConnectClient {
  return {
    ...createClient(KmsService, transport),
    admin: createClient(KeyAdminService, transport),
    logs: createClient(LogService, transport),
  };
}

/** `token` is sent with each call that has no metadata of its own. */
export function grpcClient(
  target: string,
  credentials = grpc.credentials.createInsecure(),
  token?: string,
): GrpcClient {
  const client = new grpc.Client(target, credentials, {
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
    "grpc.max_send_message_length": 16 * 1024 * 1024,
    "grpc.use_local_subchannel_pool": 1,
  });
  const raw: GrpcClient["raw"] = (method, request, options = {}, metadata = bearer(token)) =>
    new Promise((resolve, reject) => {
      const { parent, name } = typeof method === "string" ? KmsService.method[method] : method;
      client.makeUnaryRequest(
        `/${parent.typeName}/${name}`,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        request,
        metadata,
        options,
        (error, answer) => (error ? reject(error) : resolve(answer as Uint8Array)),
      );
    });
  const call = (method: DescMethod) => async (request: object, options?: Partial<grpc.CallOptions>) => {
    const bytes = toBinary(method.input, create(method.input, request as never));
    return fromBinary(method.output, await raw(method, bytes, options));
  };
  const callsOf = ({ methods }: DescService) =>
    Object.fromEntries(methods.map((method) => [method.localName, call(method)]));
  const calls = { ...callsOf(KmsService), admin: callsOf(KeyAdminService), logs: callsOf(LogService) };
  return { ...calls, raw, close: () => client.close() } as unknown as GrpcClient;
}

/** Call credentials are for TLS only; a header is a header. */
export function bearer(token: string | undefined): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

const registry = createRegistry(BadRequestSchema, ErrorInfoSchema, RetryInfoSchema);

/** The failure of a gRPC call; a call that succeeds fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<CallFailure> {
  const error = await call.then(
    () => {
      throw new Error("expected the call to fail, but it succeeded");
    },
    (thrown: grpc.ServiceError) => thrown,
  );
  if (!(error.metadata instanceof grpc.Metadata)) throw error;
  const [encoded] = error.metadata.get("grpc-status-details-bin");
  const details: Any[] = encoded ? fromBinary(StatusSchema, Buffer.from(encoded)).details : [];
  const failure: CallFailure = {
    code: error.code,
    message: error.details,
    fields: [],
    reason: undefined,
    retry: false,
  };
  for (const detail of details) {
    const message = anyUnpack(detail, registry);
    if (message?.$typeName === "google.rpc.BadRequest") {
      failure.fields.push(
        ...(message as MessageShape<typeof BadRequestSchema>).fieldViolations.map(({ field }) => field),
      );
    } else if (message?.$typeName === "google.rpc.ErrorInfo") {
      failure.reason = (message as MessageShape<typeof ErrorInfoSchema>).reason;
    } else if (message?.$typeName === "google.rpc.RetryInfo") failure.retry = true;
  }
  return failure;
}
