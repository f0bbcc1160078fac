/**
 * Protobuf wire bytes by hand, for the reader's tests: a field is its tag and its content, a message is its fields in the order given.
 * Knows nothing of OTLP's types, so that malformed messages are as easy to write as good ones.
 */
export type Bytes = Uint8Array;

export function message(...fields: Bytes[]): Bytes {
  return new Uint8Array(Buffer.concat(fields));
}

/** Wire type 0; `padding` adds that many bytes that change no value. */
export function varint(number: number, value: number | bigint, padding = 0): Bytes {
  return message(rawVarint(number << 3), rawVarint(value, padding));
}

/** Wire type 2. */
export function len(number: number, content: Bytes | string): Bytes {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return message(rawVarint((number << 3) | 2), rawVarint(bytes.length), bytes);
}

/** Wire type 1. */
export function fixed64(number: number, value: bigint): Bytes {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return message(rawVarint((number << 3) | 1), bytes);
}

export function double(number: number, value: number): Bytes {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return message(rawVarint((number << 3) | 1), bytes);
}

/** Wire type 5. */
export function fixed32(number: number, value: number): Bytes {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return message(rawVarint((number << 3) | 5), bytes);
}

/** Negative values take ten bytes, as protobuf's int32 and int64 do. */
export function rawVarint(value: number | bigint, padding = 0): Bytes {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn));
    rest >>= 7n;
  } while (rest > 0n);
  for (let i = 0; i < padding; i += 1) bytes.push(0);
  return Uint8Array.from(bytes, (byte, i) => (i < bytes.length - 1 ? byte | 0x80 : byte));
}

export function hex(text: string): Bytes {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

export const stringValue = (value: string): Bytes => len(1, value);
export const boolValue = (value: boolean): Bytes => varint(2, value ? 1 : 0);
export const intValue = (value: number | bigint): Bytes => varint(3, value);
export const doubleValue = (value: number): Bytes => double(4, value);
export const arrayValue = (...values: Bytes[]): Bytes => len(5, message(...values.map((value) => len(1, value))));
export const kvlistValue = (...entries: Bytes[]): Bytes => len(6, message(...entries.map((entry) => len(1, entry))));
export const bytesValue = (value: Bytes): Bytes => len(7, value);

/** A KeyValue; without `value` it has none. */
export function keyValue(key: string, value?: Bytes): Bytes {
  return value === undefined ? len(1, key) : message(len(1, key), len(2, value));
}

export const traceId = "5b8efff798038103d269b633813fc60c";
export const spanId = "eee19b7ec3c1b174";

/** A Span with its two ids and these further fields. */
export function span(...fields: Bytes[]): Bytes {
  return message(len(1, hex(traceId)), len(2, hex(spanId)), ...fields);
}

/** A SignSpanRequest of tenant acme. */
export function signRequest(spanBytes: Bytes, ...fields: Bytes[]): Bytes {
  return message(len(1, "acme"), len(2, spanBytes), ...fields);
}
