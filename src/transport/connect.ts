/**
 * Connect, gRPC-Web and JSON over HTTP/1.1 by connect-node, with the handlers of the gRPC server. connect-node decodes
 * by itself, so the two methods that read wire bytes get their message encoded again: unknown fields survive that.
 */
import type { RequestListener } from "node:http";
import { type DescMessage, type DescMethodUnary, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import {
  SignSpanRequestSchema,
  SignSpanResponseSchema,
  VerifySpanRequestSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { KmsError } from "../errors.ts";
import type { CallContext, Caller } from "../service/context.ts";
import type { Answer } from "../service/answer.ts";
import type { KmsHandlers } from "../service/kms-service.ts";
import { callContext, callerLeft, deadlinePassed } from "./call-context.ts";
import { maxMessageBytes } from "./grpc.ts";
import { checkedJson, strictJson } from "./json-request.ts";
import { toConnectError, toKmsError } from "./status.ts";
import type { CallRecorder } from "./telemetry.ts";

export interface ConnectParts {
  handlers: KmsHandlers;
  recorder: CallRecorder;
  caller: Caller;
}

type KmsMethod = (typeof KmsService.methods)[number];
type Handle = (request: MessageShape<DescMessage>, context: CallContext) => Answer<MessageShape<DescMessage>>;

export function connectHandler({ handlers, recorder, caller }: ConnectParts): RequestListener {
  const messageHandlers = { ...handlers, ...wireHandlers(handlers) } as unknown as Record<string, Handle>;
  const unary = (method: KmsMethod) => {
    const handle = messageHandlers[method.localName] as Handle;
    return async (request: MessageShape<DescMessage>, context: HandlerContext) => {
      const header = (name: string) => context.requestHeader.get(name) ?? undefined;
      const ours = callContext(caller, (abort) => {
        const leave = () => abort(departure(context.signal.reason));
        if (context.signal.aborted) leave();
        else context.signal.addEventListener("abort", leave, { once: true });
      });
      try {
        return await recorder.run(method.name, header, () => handle(request, ours));
      } catch (error) {
        throw toConnectError(toKmsError(error));
      }
    };
  };
  const readJson = (method: KmsMethod, bytes: Uint8Array) => {
    try {
      return checkedJson(method.input, bytes);
    } catch (error) {
      throw toConnectError(recorder.refuse(method.name, error));
    }
  };
  const listener = connectNodeAdapter({
    grpc: false,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    routes(router: ConnectRouter) {
      for (const method of KmsService.methods) {
        if (method.methodKind !== "unary") continue;
        const jsonOptions = { ...strictJson, textDecoder: { decode: (bytes: Uint8Array) => readJson(method, bytes) } };
        router.rpc(method as DescMethodUnary, unary(method), { jsonOptions });
      }
    },
  });
  return listener as RequestListener;
}

function wireHandlers(handlers: KmsHandlers) {
  return {
    async signSpan(request: MessageShape<typeof SignSpanRequestSchema>, context: CallContext) {
      const answer = await handlers.signSpan(encode(SignSpanRequestSchema, request), context);
      return fromBinary(SignSpanResponseSchema, answer);
    },
    verifySpan(request: MessageShape<typeof VerifySpanRequestSchema>, context: CallContext) {
      return handlers.verifySpan(encode(VerifySpanRequestSchema, request), context);
    },
  };
}

/** JSON can say what no wire form can: a lone surrogate, say. */
function encode<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch (cause) {
    throw new KmsError(
      "INVALID_ARGUMENT",
      `the request is not a valid ${desc.typeName}: check its strings and numbers`,
      {
        cause,
      },
    );
  }
}

/** connect-node's own reason for the end of a call, in our words. */
function departure(reason: unknown): KmsError {
  return ConnectError.from(reason).code === Code.DeadlineExceeded ? deadlinePassed() : callerLeft();
}
