/** Memory on its way to another thread: of a view that does not own it all, a message would copy all. */

/** As much may be given away with the bytes as the head of a gRPC message has, which is in one piece with it. */
const headBytes = 5;

/** Whether the memory behind these bytes is theirs alone, but for a head, and can be given away. */
export function ownsMemory(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.buffer.byteLength - bytes.byteLength <= headBytes;
}

/** The same bytes, or a copy that has memory of its own. */
export function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return ownsMemory(bytes) ? bytes : new Uint8Array(bytes);
}
