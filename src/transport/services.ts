/** The services of the API as both transports serve them: what each is, its methods and their handlers. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import type { Audited, Handler } from "../audit/audited.ts";
import type { StreamHandler } from "../call/stream.ts";
import { type KeyAdminHandlers, keyAdminMethods } from "../service/key-admin/handlers.ts";
import { type KmsHandlers, kmsMethods } from "../service/kms/handlers.ts";
import { type LogHandlers, logMethods } from "../service/log/handlers.ts";
import type { Codec } from "../service/method.ts";

export interface Served {
  service: DescService;
  /** Unary methods by their local names. */
  methods: Readonly<Record<string, AnyMethod>>;
  handlers: Readonly<Record<string, Handler>>;
  /** Handlers of the methods with messages both ways, likewise; in wire bytes. */
  streams?: Readonly<Record<string, StreamHandler>>;
}

/** A `Method` whose messages a list of services cannot know. */
export interface AnyMethod {
  audit: Audited<never>;
  codec?: Partial<Codec<unknown, never>>;
}

export type KmsStreams = { signSpans: StreamHandler };

export function kmsService(handlers: KmsHandlers, streams: KmsStreams): Served {
  return { service: KmsService, methods: kmsMethods, handlers, streams };
}

export function keyAdminService(handlers: KeyAdminHandlers): Served {
  return { service: KeyAdminService, methods: keyAdminMethods, handlers };
}

export function logService(handlers: LogHandlers): Served {
  return { service: LogService, methods: logMethods, handlers };
}

export interface UnaryMethod extends AnyMethod {
  rpc: DescMethod;
  handler: Handler;
}

/** The methods of a service with one message each way. */
export function unaryMethods({ service, methods, handlers }: Served): UnaryMethod[] {
  return service.methods
    .filter(({ methodKind }) => methodKind === "unary")
    .map((rpc) => ({ rpc, ...methods[rpc.localName]!, handler: handlers[rpc.localName]! }));
}

/** `fluo.kms.v1.KmsService/Status` */
export function rpcPath(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
