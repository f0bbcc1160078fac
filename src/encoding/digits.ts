/** Digits: written into memory two at a time, and read from text; and the views through which memory is written. */

/** All pairs of digits to a base, each as the one word of 16 bits that writes both. */
function pairsOfDigits(base: number): Uint16Array {
  return Uint16Array.from({ length: base * base }, (_, value) =>
    Buffer.from(value.toString(base).padStart(2, "0")).readUInt16LE(),
  );
}

const decimalPairs = pairsOfDigits(10);
const hexPairs = pairsOfDigits(16);

const digitZero = 0x30;
const billion = 1_000_000_000;

/** Bytes as lower-case hex. Returns the offset behind it. */
export function writeHex(out: DataView, at: number, source: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i += 1) out.setUint16(at + 2 * (i - start), hexPairs[source[i]!]!, true);
  return at + 2 * (end - start);
}

/** A whole number below 2^53. Returns the offset behind it. */
export function writeDecimal(out: DataView, at: number, value: number): number {
  if (value < billion) return writeDigits(out, at, value, decimalDigits(value));
  const billions = Math.floor(value / billion);
  return writeDigits(out, writeDecimal(out, at, billions), value - billions * billion, 9);
}

export function decimalDigits(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
  return digits;
}

/** The last `count` digits of a number below 2^32. Returns the offset behind them. */
export function writeDigits(out: DataView, at: number, value: number, count: number): number {
  let rest = value;
  let to = at + count;
  for (; to >= at + 2; to -= 2) {
    const hundreds = (rest / 100) >>> 0;
    out.setUint16(to - 2, decimalPairs[rest - hundreds * 100]!, true);
    rest = hundreds;
  }
  if (to > at) out.setUint8(at, digitZero + rest);
  return at + count;
}

/**
 * A size or an index of a log as its formats write it: ASCII decimal without leading zeros. Undefined for any other text, and above
 * 2^53 - 1, which no log of ours reaches.
 */
export function parseIndex(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Copies words of four bytes, since so little is not worth a call of `set` or `copyWithin`: those that begin before `end`: what is too much at the end is written over, or the bytes are a multiple of four. */
export function copyWords(out: DataView, at: number, source: DataView, start: number, end: number): void {
  for (let i = start; i < end; i += 4) out.setInt32(at + i - start, source.getInt32(i, true), true);
}
