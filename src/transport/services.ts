/** The services of the API as both transports serve them: what each is, its handlers, and what those speak. */
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import type { Answer } from "../call/maybe-promise.ts";
import {
  decodeEncryptPiiRequest,
  encodeEncryptPiiResponse,
  encodeGenerateDataKeyResponse,
} from "../service/codec/data-plane.ts";
import type { CallContext } from "../call/context.ts";
import type { KeyAdminHandlers } from "../service/key-admin/handlers.ts";
import type { KmsHandlers } from "../service/kms/handlers.ts";
import type { LogHandlers } from "../service/log/handlers.ts";
import type { StreamHandler } from "../call/stream.ts";

export interface Served {
  service: DescService;
  /** By the local names of the unary methods. What a handler takes and gives is a message, unless `wire` has its name. */
  handlers: Readonly<Record<string, Handler>>;
  /** Handlers that take the request's wire bytes, and whether they answer in such too. */
  wire?: Readonly<Record<string, "request" | "request and answer">>;
  /** Of handlers of messages: what gRPC reads or writes by these and not by the generic codec. */
  codecs?: Readonly<Record<string, Partial<Codec>>>;
  /** Of the methods with messages both ways, likewise; in wire bytes. */
  streams?: Readonly<Record<string, StreamHandler>>;
}

/** `In` and `Out` are messages or bytes, as the method has it: the generated types of the handlers know, a list of them cannot. */
export type Handler<In = never, Out = unknown> = (request: In, context: CallContext) => Answer<Out>;

/** Of a method's request and answer. `decode` throws for what is no such request. */
export interface Codec<In extends Message = Message, Out extends Message = Message> {
  decode(bytes: Uint8Array): In;
  encode(message: Out): Uint8Array;
}

export type KmsStreams = { signSpans: StreamHandler };

export function kmsService(handlers: KmsHandlers, streams: KmsStreams): Served {
  const encryptPii = { decode: decodeEncryptPiiRequest, encode: encodeEncryptPiiResponse };
  const generateDataKey = { encode: encodeGenerateDataKeyResponse };
  return {
    service: KmsService,
    handlers,
    wire: { signSpan: "request and answer", verifySpan: "request" },
    codecs: { encryptPii, generateDataKey },
    streams,
  };
}

export function keyAdminService(handlers: KeyAdminHandlers): Served {
  return { service: KeyAdminService, handlers };
}

export function logService(handlers: LogHandlers): Served {
  return { service: LogService, handlers };
}

/** `fluo.kms.v1.KmsService/Status` */
export function rpcPath(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
