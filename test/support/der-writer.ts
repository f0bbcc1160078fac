/** Writes DER (X.690): each function gives one whole element. */

export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const inner = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), lengthOf(inner), inner]);
}

function lengthOf({ length }: Uint8Array): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = Buffer.from(hexOf(BigInt(length)), "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export const sequence = (...content: readonly Uint8Array[]) => element(0x30, ...content);
export const set = (...content: readonly Uint8Array[]) => element(0x31, ...content);
export const octets = (...content: readonly Uint8Array[]) => element(0x04, ...content);
export const boolean = (value: boolean) => element(0x01, Buffer.from([value ? 0xff : 0]));
export const utf8 = (text: string) => element(0x0c, Buffer.from(text));
/** Whole bytes of bits. */
export const bits = (bytes: Uint8Array) => element(0x03, Buffer.from([0]), bytes);

/** Not negative. */
export function integer(value: bigint | number): Buffer {
  const bytes = Buffer.from(hexOf(BigInt(value)), "hex");
  return element(0x02, bytes[0]! < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]));
}

/** The first eight of a list of named bits, without the zeros at its end. */
export function namedBits(value: number): Buffer {
  if (value === 0) return element(0x03, Buffer.from([0]));
  const unused = 31 - Math.clz32(value & -value);
  return element(0x03, Buffer.from([unused, value]));
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

/** As RFC 5280 has it: two digits for the year before 2050. */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "")}`;
  return at.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits));
}

function hexOf(value: bigint): string {
  const hex = value.toString(16);
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}
