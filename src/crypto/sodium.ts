/** libsodium by sodium-native, where its addon loads. What it does not do here, node:crypto does. */
import { createRequire } from "node:module";

/** What is used of it. */
export interface Sodium {
  sodium_malloc(size: number): Uint8Array;
  sodium_mlock(bytes: Uint8Array): void;
  sodium_memzero(bytes: Uint8Array): void;
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void;
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  randombytes_buf(bytes: Uint8Array): void;
  readonly crypto_hash_sha512_STATEBYTES: number;
  crypto_hash_sha512_init(state: Uint8Array): void;
  crypto_hash_sha512_update(state: Uint8Array, message: Uint8Array): void;
  crypto_hash_sha512_final(state: Uint8Array, digest: Uint8Array): void;
}

/** Undefined where there is no addon for this platform. */
export function loadSodium(): Sodium | undefined {
  try {
    return createRequire(import.meta.url)("sodium-native") as Sodium;
  } catch {
    return undefined;
  }
}
