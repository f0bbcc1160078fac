/** Memory on its way to another thread: of a view that does not own it all, a message would copy all. */

/** Whether the memory behind these bytes is theirs alone, and can be given away. */
export function ownsMemory(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength === bytes.byteLength;
}

/** The same bytes, or a copy that has memory of its own. */
export function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return ownsMemory(bytes) ? bytes : new Uint8Array(bytes);
}
