/** Memory as words of four bytes: so little is not worth a call of `set` or `copyWithin`. */

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Copies the words that begin before `end`: what is too much at the end is written over, or the bytes are a multiple of four. */
export function copyWords(out: DataView, at: number, source: DataView, start: number, end: number): void {
  for (let i = start; i < end; i += 4) out.setInt32(at + i - start, source.getInt32(i, true), true);
}
