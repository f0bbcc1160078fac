/**
 * A wrapped key is a byte for this form, the CRC-32C of what follows (4 bytes, big-endian), and Cloud KMS's own ciphertext, which is opaque
 * and names the key version. What Cloud KMS says of a ciphertext that was changed is documented for none of its bytes, and it may read
 * several spellings of one; so the checksum that came with it is kept, what does not fit it is refused here, and it goes back with it.
 */
import { crc32c } from "../../encoding/crc32c.ts";
import { withLastBitFlipped } from "../secrets.ts";

const form = 1;
const headBytes = 5;
/** With it, no more than the resilience layer takes; Cloud KMS adds about a hundred bytes to a plaintext. */
const maxCiphertextBytes = 8192 - headBytes;

/** Undefined where the ciphertext is empty or too long. */
export function wrapped(ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length < 1 || ciphertext.length > maxCiphertextBytes) return undefined;
  const out = Buffer.alloc(headBytes + ciphertext.length);
  out.writeUInt8(form, 0);
  out.writeUInt32BE(crc32c(ciphertext), 1);
  out.set(ciphertext, headBytes);
  return out;
}

/** The ciphertext; undefined for what `wrapped` did not make. */
export function unwrapped(bytes: Uint8Array): Uint8Array | undefined {
  const ciphertext = bytes.subarray(headBytes);
  if (ciphertext.length < 1 || ciphertext.length > maxCiphertextBytes || bytes[0] !== form) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  return view.getUint32(1) === crc32c(ciphertext) ? ciphertext : undefined;
}

/** Makes the checksum fit too, as anybody can who alters a stored key: Cloud KMS must notice by itself. */
export function withCiphertextChanged(bytes: Uint8Array): Uint8Array {
  return wrapped(withLastBitFlipped(bytes.subarray(headBytes))) ?? Uint8Array.from(bytes);
}
