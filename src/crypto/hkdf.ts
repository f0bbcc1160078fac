/**
 * HKDF-Expand with HMAC-SHA-512 (RFC 5869 §2.3). There is no Extract step: every key here is uniformly random already.
 * node's `hkdfSync` does both steps and cannot do this one alone.
 */
import { KmsError } from "../errors.ts";
import { chooseHmacSha512, type HmacSha512, hmacBytes } from "./hmac-sha512.ts";

/** RFC 5869: the block counter is one byte. */
export const maxExpandBytes = 255 * hmacBytes;

// One a thread, made on first use.
let hmac: HmacSha512 | undefined;
/** Of one call at a time, which overwrites it. Not on the heap, where V8 puts arrays as short as this and leaves copies. */
const block = new Uint8Array(new ArrayBuffer(hmacBytes));
const counter = new Uint8Array(1);

/**
 * Fills `output`, 1 to 16320 bytes, which the caller owns and overwrites. `key` has at most 128 bytes; `info` is one byte after the other,
 * however they are divided into parts.
 */
export function hkdfExpand(key: Uint8Array, info: readonly Uint8Array[], output: Uint8Array): void {
  if (output.length < 1 || output.length > maxExpandBytes) {
    throw new KmsError("INTERNAL", `HKDF-Expand gives 1 to ${maxExpandBytes} bytes`);
  }
  hmac ??= chooseHmacSha512();
  counter[0] = 1;
  try {
    for (let at = 0; at < output.length; at += hmacBytes, counter[0] += 1) {
      hmac.begin(key);
      if (at > 0) hmac.add(block);
      for (const part of info) hmac.add(part);
      hmac.add(counter);
      hmac.end(block);
      const end = Math.min(at + hmacBytes, output.length);
      for (let i = at; i < end; i += 1) output[i] = block[i - at]!;
    }
  } finally {
    block.fill(0);
  }
}
