/**
 * Reads protobuf wire bytes, strict where parsers differ: a tag or a length has at most five bytes and 32 bits, a varint fits its type, a
 * bool is 0 or 1, text is UTF-8, and of a field that is no list there is one at most: of two, some take the first, and others the last.
 * Varints that are longer than they need be are read: they change no value.
 */
import { utf8Text } from "./bytes.ts";
import { MalformedError } from "./malformed.ts";
import type { Field, Message, MessageType, Value } from "./otlp.ts";

/** Beyond what any message of ours may nest, and short of the stack. */
const maxDepth = 100;

/** Throws MalformedError. */
export function readWire(type: MessageType, bytes: Uint8Array, depth = 1): Message {
  if (depth > maxDepth) throw new MalformedError("a message is nested too deeply");
  const message = new Map<string, Value>();
  for (const { tag, content } of fieldsOf(bytes)) {
    const field = type.byNumber.get(tag >>> 3);
    if (field === undefined || (tag & 7) !== wireTypeOf(field))
      throw new MalformedError(
        `field number ${tag >>> 3} with wire type ${tag & 7} is unknown: it cannot have been signed`,
      );
    const value = readField(field, content, depth);
    const known = message.get(field.name);
    if (known !== undefined && field.isList) (known as Value[]).push(value);
    else if (known === undefined && !(type.isChoice && message.size > 0))
      message.set(field.name, field.isList ? [value] : value);
    else throw new MalformedError(`field number ${field.number} is there beside another that says the same`);
  }
  return message;
}

const [varintType, fixed64Type, lengthType, fixed32Type] = [0, 1, 2, 5];

function wireTypeOf({ type }: Field): number {
  if (type === "fixed32") return fixed32Type;
  if (type === "fixed64" || type === "double") return fixed64Type;
  const isVarint = type === "bool" || type === "int64" || type === "uint32" || Array.isArray(type);
  return isVarint ? varintType : lengthType;
}

/** A varint is bigint, all else bytes. */
type Content = bigint | Uint8Array;

function* fieldsOf(message: Uint8Array): Generator<{ tag: number; content: Content }> {
  let at = 0;

  function varint(bits: 32 | 64): bigint {
    let value = 0n;
    for (let shift = 0; shift < bits; shift += 7) {
      const byte = message[at];
      if (byte === undefined) throw new MalformedError("a message ends before its length says");
      at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte >= 0x80) continue;
      if (value > BigInt.asUintN(bits, value)) break;
      return value;
    }
    throw new MalformedError(`a number has more than ${bits} bits`);
  }

  function take(length: number): Uint8Array {
    if (length > message.length - at) throw new MalformedError("a message ends before its length says");
    at += length;
    return message.subarray(at - length, at);
  }

  while (at < message.length) {
    const tag = Number(varint(32));
    if (tag < 8) throw new MalformedError("field number 0 does not exist");
    const wireType = tag & 7;
    if (wireType === varintType) yield { tag, content: varint(64) };
    else if (wireType === lengthType) yield { tag, content: take(Number(varint(32))) };
    else yield { tag, content: take(wireType === fixed64Type ? 8 : wireType === fixed32Type ? 4 : 0) };
  }
}

/** `content` is of the field's wire type. */
function readField({ type }: Field, content: Content, depth: number): Value {
  if (typeof content === "bigint") return readVarint(type, content);
  if (typeof type === "function") {
    const inner = type();
    return inner.isApart ? () => readWire(inner, content) : readWire(inner, content, depth + 1);
  }
  if (type === "bytes" || type === "traceId" || type === "spanId") return content;
  if (type === "text") {
    const text = utf8Text(content);
    if (text === undefined) throw new MalformedError("a text is not valid UTF-8");
    return text;
  }
  const view = new DataView(content.buffer, content.byteOffset);
  if (type === "double") return view.getFloat64(0, true);
  return type === "fixed64" ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
}

function readVarint(type: Field["type"], value: bigint): Value {
  if (type !== "bool" && type !== "uint32") return BigInt.asIntN(64, value);
  if (value > (type === "bool" ? 1n : 0xffff_ffffn)) throw new MalformedError(`a number is too large for a ${type}`);
  return type === "bool" ? value === 1n : value;
}
