/**
 * HKDF-Expand with HMAC-SHA-512 (RFC 5869 §2.3). There is no Extract step: every key here is uniformly random already.
 * node's `hkdfSync` does both steps and cannot do this one alone.
 */
import { KmsError } from "../errors.ts";
import { createHmacSha512, hmacBytes } from "./hmac-sha512.ts";

/** RFC 5869: the block counter is one byte. */
export const maxExpandBytes = 255 * hmacBytes;

/** A key to expand, with what HMAC makes of it once and not for each `info`. */
export interface HkdfKey {
  /** 0 without a key. */
  keyBytes(): number;
  /** This key from now on, 1 to 128 bytes. The caller may overwrite it: what is needed of it is kept until `forget`. */
  use(key: Uint8Array): void;
  /**
   * Fills `output`, 1 to 16320 bytes, which the caller owns and overwrites. `info` is one byte after the other, however they are divided into
   * parts. Throws INTERNAL without a key.
   */
  expand(info: readonly Uint8Array[], output: Uint8Array): void;
  /** Overwrites what is kept of the key. */
  forget(): void;
}

/**
 * What is hashed, of one call at a time, which overwrites it: the block before, the info, the counter. Not on the heap, where V8 puts short
 * arrays and leaves copies of them.
 */
let message = Buffer.allocUnsafeSlow(1024);
let block = message.subarray(0, hmacBytes);

/** It has no key yet. */
export function createHkdfKey(): HkdfKey {
  const hmac = createHmacSha512();
  let keyBytes = 0;
  return {
    keyBytes: () => keyBytes,
    use(key) {
      hmac.use(key);
      keyBytes = key.length;
    },
    expand(info, output) {
      if (output.length < 1 || output.length > maxExpandBytes) {
        throw new KmsError("INTERNAL", `HKDF-Expand gives 1 to ${maxExpandBytes} bytes`);
      }
      const end = putInfo(info);
      try {
        for (let at = 0, counter = 1; at < output.length; at += hmacBytes, counter += 1) {
          message[end] = counter;
          hmac.mac(block, message.subarray(at === 0 ? hmacBytes : 0, end + 1));
          const length = Math.min(hmacBytes, output.length - at);
          for (let i = 0; i < length; i += 1) output[at + i] = block[i]!;
        }
      } finally {
        message.fill(0, 0, end + 1);
      }
    },
    forget() {
      keyBytes = 0;
      hmac.forget();
    },
  };
}

// One a thread, made on first use.
let once: HkdfKey | undefined;

/** Of a key that is expanded once, 1 to 128 bytes. See `HkdfKey.expand`. */
export function hkdfExpand(key: Uint8Array, info: readonly Uint8Array[], output: Uint8Array): void {
  once ??= createHkdfKey();
  try {
    once.use(key);
    once.expand(info, output);
  } finally {
    once.forget();
  }
}

/** Behind the block. Returns where the counter belongs. */
function putInfo(info: readonly Uint8Array[]): number {
  let end = hmacBytes;
  for (const part of info) end += part.length;
  if (end >= message.length) {
    message = Buffer.allocUnsafeSlow(2 * end);
    block = message.subarray(0, hmacBytes);
  }
  let at = hmacBytes;
  for (const part of info) {
    message.set(part, at);
    at += part.length;
  }
  return end;
}
