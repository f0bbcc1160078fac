/** Handlers of a method as the transports call them: from the bytes of a request, binary or JSON, to those of its answer. */
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { KmsError } from "../errors.ts";
import { andThen } from "../call/maybe-promise.ts";
import { keyCheck } from "../service/codec/map-keys.ts";
import { checkedJson } from "./strict-json.ts";
import type { Codec, Handler, Served } from "./services.ts";

type Message = MessageShape<DescMessage>;
export type BytesHandler = Handler<Uint8Array, Uint8Array>;

/** Of binary requests, whatever the method's own handler speaks. */
export function binaryHandler({ handlers, wire = {}, codecs = {} }: Served, method: DescMethod): BytesHandler {
  const handler: unknown = handlers[method.localName];
  const spoken = wire[method.localName];
  if (spoken === "request and answer") return handler as BytesHandler;
  const { decode, encode } = { ...genericCodec(method), ...codecs[method.localName] };
  if (spoken === "request") {
    const handle = handler as Handler<Uint8Array, Message>;
    return (bytes, context) => andThen(handle(bytes, context), encode);
  }
  const handle = handler as Handler<Message, Message>;
  const read = (bytes: Uint8Array) => {
    try {
      return decode(bytes);
    } catch (cause) {
      throw cause instanceof KmsError ? cause : malformed(method.input, cause);
    }
  };
  return (bytes, context) => andThen(handle(read(bytes), context), encode);
}

/** Of requests in JSON, likewise. */
export function jsonHandler({ handlers, wire = {} }: Served, method: DescMethod): BytesHandler {
  const handler: unknown = handlers[method.localName];
  const spoken = wire[method.localName];
  const read = (bytes: Uint8Array) => checkedJson(method.input, bytes);
  const write = (message: Message) => Buffer.from(toJsonString(method.output, message));
  if (spoken === undefined) {
    const handle = handler as Handler<Message, Message>;
    return (bytes, context) => andThen(handle(read(bytes), context), write);
  }
  const readWire = (bytes: Uint8Array) => wireOf(method.input, read(bytes));
  if (spoken === "request") {
    const handle = handler as Handler<Uint8Array, Message>;
    return (bytes, context) => andThen(handle(readWire(bytes), context), write);
  }
  const handle = handler as BytesHandler;
  return (bytes, context) =>
    andThen(handle(readWire(bytes), context), (answer) => write(fromBinary(method.output, answer)));
}

function genericCodec({ input, output }: DescMethod): Codec {
  const checkKeys = keyCheck(input);
  return {
    decode(bytes) {
      const message = fromBinary(input, bytes);
      checkKeys?.(bytes, message);
      return message;
    },
    encode: (message) => toBinary(output, message),
  };
}

function malformed({ typeName }: DescMessage, cause: unknown): KmsError {
  const message = `the request is not a valid ${typeName}: check its wire form and UTF-8`;
  return new KmsError("INVALID_ARGUMENT", message, { cause });
}

/** JSON can say what no wire form can: a lone surrogate, say. */
function wireOf(desc: DescMessage, message: Message): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch (cause) {
    const text = `the request is not a valid ${desc.typeName}: check its strings and numbers`;
    throw new KmsError("INVALID_ARGUMENT", text, { cause });
  }
}
