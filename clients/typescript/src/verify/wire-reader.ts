/**
 * Reads protobuf wire bytes, strict where parsers differ: a tag or a length has at most five bytes and 32 bits, a varint fits its type, a
 * bool is 0 or 1, text is UTF-8. Varints that are longer than they need be are read: they change no value.
 */
import { utf8Text } from "./bytes.ts";

/** Bytes that cannot be read as a span, or could be read in two ways. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** One message, or what is left of it. */
export interface WireReader {
  /** Field number << 3 | wire type; undefined at the end. */
  tag(): number | undefined;
  /** The content of a length-delimited field. */
  bytes(): Uint8Array;
  /** The content of a length-delimited field, as a message of its own. */
  message(): WireReader;
  text(): string;
  uint32(): number;
  /** One of the enum's numbers, 0 to `last`. */
  enum(last: number): number;
  bool(): boolean;
  int64(): bigint;
  fixed64(): bigint;
  fixed32(): number;
  double(): number;
}

export function wireReader(message: Uint8Array): WireReader {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;

  function varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= message.length) throw truncated();
      const byte = message[at]!;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value >> 64n !== 0n) break;
        return value;
      }
    }
    throw new MalformedError("a varint is longer than 64 bits");
  }

  function upTo(last: number, what: string): number {
    const value = varint();
    if (value > BigInt(last)) throw new MalformedError(`${what} is at most ${last}`);
    return Number(value);
  }

  /** Value of a tag or a length. */
  function short(what: string): number {
    const first = message[at];
    if (first !== undefined && first < 0x80) {
      at += 1;
      return first;
    }
    const start = at;
    const value = upTo(0xffff_ffff, what);
    if (at - start > 5) throw new MalformedError(`${what} has at most five bytes`);
    return value;
  }

  function skip(length: number): number {
    const start = at;
    if (length > message.length - at) throw truncated();
    at += length;
    return start;
  }

  const reader: WireReader = {
    tag() {
      if (at >= message.length) return undefined;
      const tag = short("a field's tag");
      if (tag < 8) throw new MalformedError("field number 0 does not exist");
      return tag;
    },

    bytes() {
      const length = short("a length");
      const start = skip(length);
      return message.subarray(start, start + length);
    },

    message: () => wireReader(reader.bytes()),

    text() {
      const text = utf8Text(reader.bytes());
      if (text === undefined) throw new MalformedError("a text is not valid UTF-8");
      return text;
    },

    uint32: () => upTo(0xffff_ffff, "a number of 32 bits"),
    enum: (last) => upTo(last, "the enum's number"),
    bool: () => upTo(1, "a bool on the wire") === 1,
    int64: () => BigInt.asIntN(64, varint()),
    fixed64: () => view.getBigUint64(skip(8), true),
    fixed32: () => view.getUint32(skip(4), true),
    double: () => view.getFloat64(skip(8), true),
  };
  return reader;
}

/**
 * Calls `read` with the tag of each field. Throws MalformedError for a field that is there twice, except those in `lists`: of two, some
 * parsers take the first, and others the last.
 */
export function eachField(reader: WireReader, lists: readonly number[], read: (tag: number) => void): void {
  const seen = new Set<number>();
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (seen.has(tag)) throw new MalformedError(`field number ${tag >>> 3} is there twice`);
    if (!lists.includes(tag)) seen.add(tag);
    read(tag);
  }
}

export function unexpected(tag: number): MalformedError {
  return new MalformedError(
    `field number ${tag >>> 3} with wire type ${tag & 7} is unknown: it cannot have been signed`,
  );
}

function truncated(): MalformedError {
  return new MalformedError("a message ends before its length says");
}
