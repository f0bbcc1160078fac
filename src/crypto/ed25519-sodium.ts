/**
 * Ed25519 by libsodium. A secret key (seed ‖ public key, 64 bytes) lives in a slot of a `sodium_malloc` slab: guard pages around it, left
 * out of core dumps, locked where the system allows, zeroed when its key is destroyed. A slab for many keys, because each allocation
 * costs several memory maps and the process aborts when those run out.
 */
import {
  destroyedKey,
  type Ed25519,
  publicKeyBytes,
  requireSeed,
  seedBytes,
  signatureBytes,
} from "./ed25519-contract.ts";
import type { Sodium } from "./sodium.ts";

const secretKeyBytes = 64;
const slotsASlab = 2048;

export function sodiumEd25519(sodium: Sodium, slots: number = slotsASlab): Ed25519 {
  const secrets = secretSlots(sodium, slots);

  function publicKeyInto(slot: Uint8Array, seed: Uint8Array): Uint8Array {
    const publicKey = new Uint8Array(publicKeyBytes);
    sodium.crypto_sign_seed_keypair(publicKey, slot, seed);
    return publicKey;
  }

  return {
    signingKey(seed) {
      requireSeed(seed);
      let slot: Uint8Array | undefined = secrets.take();
      const publicKey = publicKeyInto(slot, seed);
      return {
        publicKey,
        sign(message) {
          if (slot === undefined) throw destroyedKey();
          const signature = new Uint8Array(signatureBytes);
          sodium.crypto_sign_detached(signature, message, slot);
          return signature;
        },
        signInto(signature, message) {
          if (slot === undefined) throw destroyedKey();
          sodium.crypto_sign_detached(signature, message, slot);
        },
        copySeed(into) {
          if (slot === undefined) throw destroyedKey();
          into.set(slot.subarray(0, seedBytes));
        },
        destroy() {
          if (slot === undefined) return;
          // Forgotten before it is free: the slot's next owner's key is out of this one's reach.
          const freed = slot;
          slot = undefined;
          secrets.giveBack(freed);
        },
      };
    },

    publicKeyOf(seed) {
      requireSeed(seed);
      const slot = secrets.take();
      try {
        return publicKeyInto(slot, seed);
      } finally {
        secrets.giveBack(slot);
      }
    },

    verifySignature(publicKey, message, signature) {
      if (publicKey.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
      return sodium.crypto_sign_verify_detached(signature, message, publicKey);
    },

    memoryProtection: () => ({ implementation: "sodium", locked: secrets.locked() }),
  };
}

/** Slots of 64 bytes. A further slab is made only when every slot is taken; slabs live as long as the thread. */
function secretSlots(sodium: Sodium, slots: number) {
  const free: Uint8Array[] = [];
  let slabs = 0;
  let locked = true;

  function addSlab(): void {
    const slab = sodium.sodium_malloc(slots * secretKeyBytes);
    sodium.sodium_memzero(slab);
    // sodium_malloc has tried to lock it and ignores failure; locking again is free and tells.
    locked = isLocked(slab) && locked;
    slabs += 1;
    for (let i = slots - 1; i >= 0; i -= 1) free.push(slab.subarray(i * secretKeyBytes, (i + 1) * secretKeyBytes));
  }

  function isLocked(slab: Uint8Array): boolean {
    try {
      sodium.sodium_mlock(slab);
      return true;
    } catch {
      return false;
    }
  }

  return {
    take(): Uint8Array {
      if (free.length === 0) addSlab();
      return free.pop()!;
    },
    giveBack(slot: Uint8Array): void {
      sodium.sodium_memzero(slot);
      free.push(slot);
    },
    locked(): boolean {
      if (slabs === 0) addSlab();
      return locked;
    },
  };
}
