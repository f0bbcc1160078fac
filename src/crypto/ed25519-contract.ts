/** What an Ed25519 implementation must do. test/crypto/ed25519.test.ts runs against each. */
import { KmsError } from "../errors.ts";

export const seedBytes = 32;
export const publicKeyBytes = 32;
export const signatureBytes = 64;

export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The 64-byte signature of `message`. Throws INTERNAL after `destroy`. */
  sign(message: Uint8Array): Uint8Array;
  /** The same into memory that is at hand: a fresh array costs a fifth of the signature. */
  signInto(signature: Uint8Array, message: Uint8Array): void;
  /** Copies the 32-byte seed, for memory that is as guarded as this. Throws INTERNAL after `destroy`. */
  copySeed(into: Uint8Array): void;
  /** Overwrites the secret where the implementation can, and forgets it. May be called again. */
  destroy(): void;
}

export interface MemoryProtection {
  implementation: "sodium" | "node";
  /** Whether every page that holds a secret is locked into memory (RLIMIT_MEMLOCK may forbid it). */
  locked: boolean;
}

export interface Ed25519 {
  signingKey(seed: Uint8Array): SigningKey;
  publicKeyOf(seed: Uint8Array): Uint8Array;
  verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  memoryProtection(): MemoryProtection;
}

export function requireSeed(seed: Uint8Array): void {
  if (seed.length !== seedBytes) throw new KmsError("INTERNAL", `an Ed25519 seed has ${seedBytes} bytes`);
}

export function destroyedKey(): KmsError {
  return new KmsError("INTERNAL", "this signing key was destroyed");
}
