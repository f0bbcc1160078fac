/** Protobuf wire bytes, written by hand into memory that is large enough. Each function returns the offset behind what it wrote. */

/** A varint has at most ten bytes. */
export const maxVarintBytes = 10;

export const timestampTag = { seconds: 0x08, nanos: 0x10 } as const;

/** Tag and length of a field below 128 bytes. */
export const shortHead = 2;

export function writeShortHead(out: Buffer, at: number, fieldTag: number, length: number): number {
  out[at] = fieldTag;
  out[at + 1] = length;
  return at + shortHead;
}

/** Tag and length of a field of any length. */
export function writeHead(out: Buffer, at: number, fieldTag: number, length: number): number {
  out[at] = fieldTag;
  return writeVarint(out, at + 1, length);
}

/** ASCII below 128 bytes: ids, names and times of our own. */
export function writeShortText(out: Buffer, at: number, fieldTag: number, text: string): number {
  return writeShortHead(out, at, fieldTag, text.length) + out.write(text, at + shortHead, "latin1");
}

/** ASCII of any length. */
export function writeText(out: Buffer, at: number, fieldTag: number, text: string): number {
  const start = writeHead(out, at, fieldTag, text.length);
  return start + out.write(text, start, "latin1");
}

/** Bytes of any number. */
export function writeBytes(out: Buffer, at: number, fieldTag: number, bytes: Uint8Array): number {
  const start = writeHead(out, at, fieldTag, bytes.length);
  out.set(bytes, start);
  return start + bytes.length;
}

export function writeTimestamp(out: Buffer, at: number, fieldTag: number, ms: number): number {
  const start = at + shortHead;
  out[start] = timestampTag.seconds;
  let end = writeVarint(out, start + 1, Math.floor(ms / 1000));
  const nanos = (ms % 1000) * 1_000_000;
  if (nanos > 0) {
    out[end] = timestampTag.nanos;
    end = writeVarint(out, end + 1, nanos);
  }
  writeShortHead(out, at, fieldTag, end - start);
  return end;
}

/** Seconds pass 32 bits in 2106, so no bit operators on the whole. */
export function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 128) {
    out[end++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[end++] = rest;
  return end;
}

export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
