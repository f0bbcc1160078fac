/** The real service in this process, on free loopback ports, and real clients of it: generated stubs over @grpc/grpc-js, and Connect. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request, type RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { newAuthority } from "./pki.ts";

/** PEM. */
export interface ClientCertificate {
  chain: string;
  key: string;
}

export interface HttpAnswer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

export interface RunningService extends RunningServer {
  grpc: GrpcClient;
  connect: ConnectClient;
  /** `http://127.0.0.1:port`; with TLS, `https://localhost:port` */
  url: string;
  /** The folder of its files, which goes when it is stopped. */
  dir: string;
  /** Writes files into the folder, each at once in its place, and waits until they are in force. */
  write(files: Record<string, string>): Promise<void>;
}

export interface TlsService extends RunningService {
  /** PEM of the authority of the service's own certificate. */
  serverCa: string;
  /** A certificate and key for the service's own name. */
  newServerFiles(): Record<"server.pem" | "server.key", string>;
  credentials(certificate?: ClientCertificate): grpc.ChannelCredentials;
  client(certificate?: ClientCertificate): GrpcClient;
  /** One request on a connection of its own. */
  http(
    path: string,
    options?: RequestOptions & { certificate?: ClientCertificate; body?: string },
  ): Promise<HttpAnswer>;
}

export interface StartOptions {
  time?: Time | undefined;
  /** In place of constants. */
  bounds?: Partial<ConnectionSettings>;
  /** `policy.yaml`, which puts a policy in force, and what it names. */
  files?: Record<string, string>;
  /** TLS on both ports, by an authority made here. */
  tls?: boolean;
}

/** `properties` by their names in application.properties. The service is loaded here, as most who need its clients start it elsewhere. */
export async function startService(
  properties: Record<string, string> | undefined,
  options: StartOptions & { tls: true },
): Promise<TlsService>;
export async function startService(
  properties?: Record<string, string>,
  options?: StartOptions,
): Promise<RunningService>;
export async function startService(
  properties: Record<string, string> = {},
  { time = realTime, bounds = {}, files = {}, tls = false }: StartOptions = {},
): Promise<RunningService> {
  const [{ loadConfig }, { startServer }] = await Promise.all([
    import("../../src/config/load.ts"),
    import("../../src/server.ts"),
  ]);
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-service-"));
  const put = (all: Record<string, string>) => {
    for (const [name, text] of Object.entries(all)) {
      writeFileSync(join(dir, `${name}.new`), text, { mode: 0o600 });
      renameSync(join(dir, `${name}.new`), join(dir, name));
    }
  };
  const identity = tls ? newIdentity() : undefined;
  put({ ...identity?.newServerFiles(), ...files });
  const env = Object.entries({
    "fluo.kms.grpc.port": "0",
    "fluo.kms.http.port": "0",
    "fluo.kms.log.level": "silent",
    ...("policy.yaml" in files && { "fluo.kms.auth": "policy", "fluo.kms.policy.file": join(dir, "policy.yaml") }),
    ...(tls && {
      "fluo.kms.tls.certificate": join(dir, "server.pem"),
      "fluo.kms.tls.key": join(dir, "server.key"),
    }),
    ...properties,
  }).map(([name, value]) => [name.replace(/[^a-zA-Z0-9]/g, "_").toUpperCase(), value]);
  const removeFiles = () => rmSync(dir, { recursive: true, force: true });
  const server = await Promise.try(() => {
    const config = loadConfig({ env: inMemory(Object.fromEntries(env)), cwd: import.meta.dirname });
    return startServer({ ...config, connections: { ...config.connections, ...bounds } }, time);
  }).catch((error) => {
    removeFiles();
    throw error;
  });
  const clients = identity?.clientsOf(server);
  const url = tls ? `https://localhost:${server.httpPort}` : `http://127.0.0.1:${server.httpPort}`;
  const client = clients?.client() ?? grpcClient(`127.0.0.1:${server.grpcPort}`);
  const nodeOptions = { ca: identity?.serverCa };
  return {
    ...server,
    ...clients,
    url,
    dir,
    grpc: client,
    connect: connectClient(createConnectTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions })),
    async write(all) {
      put(all);
      await server.reloadFiles();
    },
    async stop() {
      client.close();
      await server.stop();
      removeFiles();
    },
  };
}

/** What a service with TLS shows, and clients that trust it. */
function newIdentity() {
  const authority = newAuthority({ name: "server" });
  const serverCa = authority.pem;
  const newServerFiles: TlsService["newServerFiles"] = () => {
    const { chain, key } = authority.issue({
      dns: ["localhost"],
      addresses: ["127.0.0.1"],
      extendedKeyUsage: ["serverAuth"],
    });
    return { "server.pem": chain, "server.key": key };
  };
  const credentials: TlsService["credentials"] = (certificate) =>
    grpc.credentials.createSsl(
      Buffer.from(serverCa),
      certificate ? Buffer.from(certificate.key) : null,
      certificate ? Buffer.from(certificate.chain) : null,
    );
  const httpOn =
    (port: number): TlsService["http"] =>
    (path, { certificate, body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const tls = {
          ca: serverCa,
          agent: false,
          ...(certificate && { cert: certificate.chain, key: certificate.key }),
        };
        const asked = request({ host: "localhost", port, path, ...tls, ...options }, async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          });
        });
        asked.on("error", reject).end(body);
      });
  return {
    serverCa,
    newServerFiles,
    clientsOf: ({ grpcPort, httpPort }: RunningServer) => ({
      serverCa,
      newServerFiles,
      credentials,
      client: (certificate?: ClientCertificate) => grpcClient(`localhost:${grpcPort}`, credentials(certificate)),
      http: httpOn(httpPort),
    }),
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

export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
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
