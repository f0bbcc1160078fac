/**
 * Reads protobuf wire bytes, strict where parsers differ: a tag or a length has at most five bytes and 32 bits, a varint fits its type, a
 * bool is 0 or 1, text is UTF-8, and of a field that is no list there is one at most: of two, some take the first, and others the last.
 * Varints that are longer than they need be are read: they change no value.
 */
import { utf8Text } from "./bytes.ts";
import { MalformedError } from "./malformed.ts";
import type { Field, Message, MessageType, Value } from "./otlp.ts";

const [varintType, fixed64Type, lengthType, fixed32Type] = [0, 1, 2, 5];
const max32 = 0xffff_ffffn;
/** Beyond what any message of ours may nest, and short of the stack. */
const maxDepth = 100;

/** Throws MalformedError. */
export function readWire(type: MessageType, bytes: Uint8Array, depth = 1): Message {
  if (depth > maxDepth) throw new MalformedError("a message is nested too deeply");
  const message = new Map<string, Value>();
  const reader = wireReader(bytes);
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    const field = type.byNumber.get(tag >>> 3);
    if (field === undefined || (tag & 7) !== wireType(field))
      throw new MalformedError(
        `field number ${tag >>> 3} with wire type ${tag & 7} is unknown: it cannot have been signed`,
      );
    const value = readField(field, reader, depth);
    const known = message.get(field.name);
    if (field.isList) {
      if (known === undefined) message.set(field.name, [value]);
      else (known as Value[]).push(value);
    } else if (known === undefined && !(type.isChoice && message.size > 0)) message.set(field.name, value);
    else throw new MalformedError(`field number ${field.number} is there beside another that says the same`);
  }
  return message;
}

function wireType({ type }: Field): number {
  if (type === "fixed32") return fixed32Type;
  if (type === "fixed64" || type === "double") return fixed64Type;
  const isVarint = type === "bool" || type === "int64" || type === "uint32" || Array.isArray(type);
  return isVarint ? varintType : lengthType;
}

function readField({ type }: Field, reader: WireReader, depth: number): Value {
  if (typeof type === "function") {
    const [inner, bytes] = [type(), reader.bytes()];
    return inner.isApart ? () => readWire(inner, bytes) : readWire(inner, bytes, depth + 1);
  }
  switch (type) {
    case "text": {
      const text = utf8Text(reader.bytes());
      if (text === undefined) throw new MalformedError("a text is not valid UTF-8");
      return text;
    }
    case "bytes":
    case "traceId":
    case "spanId":
      return reader.bytes();
    case "bool":
      return reader.varint(1n) === 1n;
    case "uint32":
      return reader.varint(max32);
    case "fixed32":
      return BigInt(reader.fixed(4).getUint32(0, true));
    case "fixed64":
      return reader.fixed(8).getBigUint64(0, true);
    case "double":
      return reader.fixed(8).getFloat64(0, true);
    default:
      return BigInt.asIntN(64, reader.varint());
  }
}

interface WireReader {
  /** Field number << 3 | wire type; undefined at the end. */
  tag(): number | undefined;
  /** The content of a length-delimited field. */
  bytes(): Uint8Array;
  varint(max?: bigint): bigint;
  fixed(length: 4 | 8): DataView;
}

function wireReader(message: Uint8Array): WireReader {
  let at = 0;

  function varint(max = 0xffff_ffff_ffff_ffffn): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw new MalformedError("a message ends before its length says");
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (value > max) break;
      return value;
    }
    throw new MalformedError(`a number is more than ${max}, or longer than it can be`);
  }

  /** Value of a tag or a length. */
  function short(): number {
    const first = message[at];
    if (first !== undefined && first < 0x80) {
      at += 1;
      return first;
    }
    const start = at;
    const value = Number(varint(max32));
    if (at - start > 5) throw new MalformedError("a tag or a length has at most five bytes");
    return value;
  }

  function take(length: number): Uint8Array {
    if (length > message.length - at) throw new MalformedError("a message ends before its length says");
    at += length;
    return message.subarray(at - length, at);
  }

  return {
    tag() {
      if (at >= message.length) return undefined;
      const tag = short();
      if (tag < 8) throw new MalformedError("field number 0 does not exist");
      return tag;
    },

    bytes: () => take(short()),
    varint,

    fixed(length) {
      const { buffer, byteOffset } = take(length);
      return new DataView(buffer, byteOffset, length);
    },
  };
}
