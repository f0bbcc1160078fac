/**
 * Ed25519 (RFC 8032): libsodium where its addon loads, node:crypto elsewhere. Both make the same bytes, and take and refuse the same
 * signatures of any honest signer. (Only the holder of a secret key can craft a signature with a small-order component, on which the
 * two may differ: RFC 8032 allows both ways of checking.)
 */
import type { Ed25519, MemoryProtection, SigningKey } from "./ed25519-contract.ts";
import { nodeEd25519 } from "./ed25519-node.ts";
import { sodiumEd25519 } from "./ed25519-sodium.ts";
import { loadSodium } from "./sodium.ts";

/** A key that signs. The 32-byte seed is copied: the caller overwrites its own. */
export function signingKey(seed: Uint8Array): SigningKey {
  return implementation().signingKey(seed);
}

/** The 32-byte public key of a seed. */
export function publicKeyOf(seed: Uint8Array): Uint8Array {
  return implementation().publicKeyOf(seed);
}

/** Whether `signature` is `publicKey`'s over `message`. Anything of another length is not. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return implementation().verifySignature(publicKey, message, signature);
}

/** How this thread holds secret keys, for Status. */
export function memoryProtection(): MemoryProtection {
  return implementation().memoryProtection();
}

// One a thread, made on first use: all keys of a thread share its slab.
let chosen: Ed25519 | undefined;

function implementation(): Ed25519 {
  chosen ??= chooseEd25519();
  return chosen;
}

/** For a thread that holds few keys: with a slab of its own, of `slots` keys. Without libsodium, `memoryProtection` says so. */
export function chooseEd25519(slots?: number): Ed25519 {
  const sodium = loadSodium();
  return sodium ? sodiumEd25519(sodium, slots) : nodeEd25519();
}
