/**
 * Health and reflection, which bring decoders of their own: what these cannot read is INVALID_ARGUMENT, where grpc-js would say INTERNAL. So
 * a message that was refused goes on as the error that it is, and ends the call when it is its turn.
 */
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type * as grpc from "@grpc/grpc-js";
import { Health } from "../../../gen/ts/grpc/health/v1/health_pb.ts";
import { KmsError } from "../../errors.ts";
import { decompressNow } from "./http2/compression.ts";
import { isCompressed, takeMessages } from "./http2/internals.ts";
import { rpcPath } from "../services.ts";
import { toGrpcStatus } from "../error-status.ts";

type Method = grpc.MethodDefinition<unknown, unknown>;
type Call = grpc.ServerUnaryCall<unknown, unknown> & grpc.ServerDuplexStream<unknown, unknown>;
type Handle = (call: Call, callback: grpc.sendUnaryData<unknown>) => void;

/** The service as grpc-js takes it. An implementation may name a method as the proto does, or in lower camel case. */
export function readInCall(
  service: grpc.ServiceDefinition,
  implementation: grpc.UntypedServiceImplementation,
): [grpc.ServiceDefinition, grpc.UntypedServiceImplementation] {
  const methods = Object.entries(service).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: (message: Buffer) => read(method, message) },
  ]);
  const handlers = Object.entries(implementation).map(([name, handle]) => [name, refusing(handle as Handle)]);
  return [Object.fromEntries(methods), Object.fromEntries(handlers)];
}

/** Of messages that are read strictly first. The decoder of health checks takes a name that is no UTF-8, and what is answered then grpc-js cannot send. */
const known = new Map<string, DescMessage>(Health.methods.map((method) => [`/${rpcPath(method)}`, method.input]));

function read({ path, requestDeserialize }: Method, message: Buffer): unknown {
  try {
    const bytes = isCompressed(message) ? decompressNow(message) : message;
    fromBinary(known.get(path) ?? EmptySchema, bytes);
    return requestDeserialize(bytes);
  } catch (cause) {
    if (cause instanceof KmsError) return cause;
    return new KmsError("INVALID_ARGUMENT", "the request cannot be decoded: check its wire form", { cause });
  }
}

function refusing(handle: Handle): Handle {
  return (call, callback) => {
    const end = (error: KmsError) =>
      callback ? callback(toGrpcStatus(error)) : call.emit("error", toGrpcStatus(error));
    if (call.request instanceof KmsError) return void end(call.request);
    if ("push" in call)
      takeMessages(call, (message, pass) => (message instanceof KmsError ? !end(message) : pass(message)));
    handle(call, callback);
  };
}
