/** How messages of a rpc come and go: in binary or in JSON, by the method's own codec or by the generic one. */
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { KmsError } from "../errors.ts";
import { keyCheck } from "../service/codec/map-keys.ts";
import type { Codec } from "../service/method.ts";
import type { BytesForm } from "./carrier.ts";
import { checkedJson } from "./strict-json.ts";

type Message = MessageShape<DescMessage>;

export function binaryForm(rpc: DescMethod, codec: Partial<Codec<unknown, never>> = {}): BytesForm {
  const { decode = genericDecode(rpc.input), encode = genericEncode(rpc.output), own = false } = codec;
  return { decode: own ? decode : strictly(rpc.input, decode), encode };
}

export function jsonForm(rpc: DescMethod, codec: Partial<Codec<unknown, never>> = {}): BytesForm {
  const read = (bytes: Uint8Array) => checkedJson(rpc.input, bytes);
  const write = (message: Message) => Buffer.from(toJsonString(rpc.output, message));
  if (!codec.own) return { decode: read, encode: write };
  const { decode, encode } = binaryForm(rpc, codec);
  return {
    decode: (bytes) => decode(wireOf(rpc.input, read(bytes))),
    encode: (answer) => write(fromBinary(rpc.output, encode(answer))),
  };
}

function genericDecode(input: DescMessage): (bytes: Uint8Array) => Message {
  const checkKeys = keyCheck(input);
  return (bytes) => {
    const message = fromBinary(input, bytes);
    checkKeys?.(bytes, message);
    return message;
  };
}

function genericEncode(output: DescMessage): (message: Message) => Uint8Array {
  return (message) => toBinary(output, message);
}

function strictly({ typeName }: DescMessage, decode: (bytes: Uint8Array) => unknown): (bytes: Uint8Array) => unknown {
  return (bytes) => {
    try {
      return decode(bytes);
    } catch (cause) {
      if (cause instanceof KmsError) throw cause;
      const message = `the request is not a valid ${typeName}: check its wire form and UTF-8`;
      throw new KmsError("INVALID_ARGUMENT", message, { cause });
    }
  };
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
