/** Memory that belongs to nobody else: it can be given to another thread (of a view, a message would copy all behind it), or given back. */

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

/** Gives memory back that nobody uses any more. As garbage it would be held until the heap is collected next, and bring that on. */
export function release(bytes: Uint8Array): void {
  if (ownsMemory(bytes)) bytes.buffer.transfer(0);
}
