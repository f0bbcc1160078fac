/** How messages of an rpc are read and written: in binary or JSON, by the method's own codec or by the generic one. */
import { create, type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { KmsError } from "../errors.ts";
import { keyCheck } from "../service/codec/map-keys.ts";
import type { Codec } from "../service/method.ts";
import type { CallForm } from "./carrier.ts";
import { checkedJson } from "./strict-json.ts";

/** A message of protobuf-es. */
export type Message = MessageShape<DescMessage>;

type AnyCodec = Partial<Codec<unknown, never>>;

/** Reads and writes binary messages. */
export function binaryForm(rpc: DescMethod, codec: AnyCodec = {}): CallForm<Uint8Array> {
  return { decode: binaryDecode(rpc, codec), encode: codec.encode ?? genericEncode(rpc.output) };
}

/** Reads binary or JSON messages, and gives responses to the library of Connect, which writes them. */
export function messageForms(rpc: DescMethod, codec: AnyCodec = {}): Record<"binary" | "json", CallForm<Message>> {
  const binary = binaryDecode(rpc, codec);
  const read = jsonDecode(rpc);
  const json = codec.own ? (bytes: Uint8Array) => binary(wireOf(rpc.input, read(bytes))) : read;
  const write = codec.own ? codec.encode : undefined;
  const encode = (made: typeof fromBinary) =>
    write ? (answer: never) => made(rpc.output, write(answer)) : (answer: Message) => answer;
  return { binary: { decode: binary, encode: encode(carrying) }, json: { decode: json, encode: encode(fromBinary) } };
}

/** Returns a message that is written in binary as these wire bytes: the first field and all behind it are one that is not known. */
export function carrying<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const message = create(desc);
  if (bytes.length > 0) {
    const reader = new BinaryReader(bytes);
    const [no, wireType] = reader.tag();
    message.$unknown = [{ no, wireType, data: bytes.subarray(reader.pos) }];
  }
  return message;
}

/** Returns the wire bytes of a JSON message. Throws INVALID_ARGUMENT. */
export function jsonToWire(rpc: DescMethod): (bytes: Uint8Array) => Uint8Array<ArrayBuffer> {
  const read = jsonDecode(rpc);
  return (bytes) => wireOf(rpc.input, read(bytes));
}

function jsonDecode({ input }: DescMethod): (bytes: Uint8Array) => Message {
  return (bytes) => checkedJson(input, bytes);
}

function binaryDecode({ input }: DescMethod, { decode = genericDecode(input), own = false }: AnyCodec) {
  return own ? decode : strictly(input, decode);
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
function wireOf(desc: DescMessage, message: Message): Uint8Array<ArrayBuffer> {
  try {
    return toBinary(desc, message);
  } catch (cause) {
    const text = `the request is not a valid ${desc.typeName}: check its strings and numbers`;
    throw new KmsError("INVALID_ARGUMENT", text, { cause });
  }
}
