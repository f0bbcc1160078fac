/** HMAC-SHA-512 (RFC 2104, FIPS 180-4): of SHA-512 by libsodium where its addon loads, by node:crypto elsewhere. */
import { createHmac } from "node:crypto";
import { KmsError } from "../errors.ts";
import { loadSodium, type Sodium } from "./sodium.ts";

export const hmacBytes = 64;
const hashBlockBytes = 128;
const innerPad = 0x36;
const outerPad = 0x5c;

/** One message at a time, from `begin` to `end`. */
export interface HmacSha512 {
  /** The key has at most 128 bytes. */
  begin(key: Uint8Array): void;
  /** The next bytes of the message: to be anything again at once. */
  add(bytes: Uint8Array): void;
  /** Writes the MAC, 64 bytes. Of key and message nothing is left. */
  end(mac: Uint8Array): void;
}

export function chooseHmacSha512(): HmacSha512 {
  const sodium = loadSodium();
  return sodium ? sodiumHmacSha512(sodium) : nodeHmacSha512();
}

export function nodeHmacSha512(): HmacSha512 {
  let hmac = createHmac("sha512", "");
  return {
    begin(key) {
      checkKey(key);
      hmac = createHmac("sha512", key);
    },
    add: (bytes) => void hmac.update(bytes),
    end(mac) {
      const digest = hmac.digest();
      mac.set(digest);
      digest.fill(0);
    },
  };
}

/**
 * libsodium has no HMAC that gives all bytes of SHA-512, so these are RFC 2104's two hashes. They cost 60 % of node's, which makes objects
 * for each message that are thrown away after it: here it is memory that stays.
 */
export function sodiumHmacSha512(sodium: Pick<Sodium, "crypto_hash_sha512">): HmacSha512 {
  /** The padded key, then the message. */
  let inner = new Uint8Array(1024);
  let end = 0;
  /** The padded key, then the hash of `inner`. */
  const outer = new Uint8Array(hashBlockBytes + hmacBytes);
  const innerHash = outer.subarray(hashBlockBytes);

  return {
    begin(key) {
      checkKey(key);
      putKey(inner, key, innerPad);
      putKey(outer, key, outerPad);
      end = hashBlockBytes;
    },
    add(bytes) {
      const next = end + bytes.length;
      if (next > inner.length) {
        const longer = new Uint8Array(2 * next);
        longer.set(inner);
        inner.fill(0);
        inner = longer;
      }
      inner.set(bytes, end);
      end = next;
    },
    end(mac) {
      try {
        sodium.crypto_hash_sha512(innerHash, inner.subarray(0, end));
        sodium.crypto_hash_sha512(mac, outer);
      } finally {
        inner.fill(0, 0, end);
        outer.fill(0);
      }
    },
  };
}

function putKey(block: Uint8Array, key: Uint8Array, pad: number): void {
  for (let i = 0; i < key.length; i += 1) block[i] = key[i]! ^ pad;
  block.fill(pad, key.length, hashBlockBytes);
}

function checkKey(key: Uint8Array): void {
  if (key.length > hashBlockBytes)
    throw new KmsError("INTERNAL", `an HMAC key has at most ${hashBlockBytes} bytes here`);
}
