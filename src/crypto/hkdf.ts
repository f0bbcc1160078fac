/**
 * HKDF-Expand with HMAC-SHA-512 (RFC 5869 §2.3). There is no Extract step: every key here is uniformly random already.
 * node's `hkdfSync` does both steps and cannot do this one alone.
 */
import { createHmac } from "node:crypto";
import { KmsError } from "../errors.ts";

const hashBytes = 64;

/** RFC 5869: the block counter is one byte. */
export const maxExpandBytes = 255 * hashBytes;

/** `length` bytes, 1 to 16320, which the caller owns and overwrites. */
export function hkdfExpand(key: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > maxExpandBytes) {
    throw new KmsError("INTERNAL", `HKDF-Expand gives 1 to ${maxExpandBytes} bytes`);
  }
  const output = Buffer.allocUnsafe(length);
  // previous block (absent in the first round) ‖ info ‖ counter, kept in one buffer: one HMAC update a round.
  const input = Buffer.allocUnsafe(hashBytes + info.length + 1);
  input.set(info, hashBytes);
  for (let counter = 1, at = 0; at < length; counter += 1, at += hashBytes) {
    input[input.length - 1] = counter;
    const block = createHmac("sha512", key)
      .update(counter === 1 ? input.subarray(hashBytes) : input)
      .digest();
    block.copy(output, at);
    block.copy(input);
    block.fill(0);
  }
  input.fill(0, 0, hashBytes);
  return output;
}
