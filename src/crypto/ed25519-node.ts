/**
 * Ed25519 by node:crypto, for platforms without sodium-native's addon. The secret sits in OpenSSL's heap inside a `KeyObject`, which
 * cannot be locked or overwritten from here: destroying a key drops the last reference. OpenSSL takes public keys that are small-order
 * points or not canonical, under which a signature can fit many messages; libsodium does not, so neither does this.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { destroyedKey, type Ed25519, publicKeyBytes, requireSeed, signatureBytes } from "./ed25519-contract.ts";

// RFC 8410: everything of PKCS #8 and SubjectPublicKeyInfo that precedes the 32 raw bytes.
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** The y coordinates of the points of order 1, 2, 4 and 8, little-endian, without the sign bit. */
const smallOrder: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

export function nodeEd25519(): Ed25519 {
  return {
    signingKey(seed) {
      let key: KeyObject | undefined = privateKey(seed);
      return {
        publicKey: rawPublicKey(key),
        sign(message) {
          if (key === undefined) throw destroyedKey();
          return new Uint8Array(sign(null, message, key));
        },
        signInto(signature, message) {
          if (key === undefined) throw destroyedKey();
          signature.set(sign(null, message, key));
        },
        copySeed(into) {
          if (key === undefined) throw destroyedKey();
          const der = key.export({ format: "der", type: "pkcs8" });
          into.set(der.subarray(pkcs8Prefix.length));
          der.fill(0);
        },
        destroy() {
          key = undefined;
        },
      };
    },

    publicKeyOf: (seed) => rawPublicKey(privateKey(seed)),

    verifySignature(publicKey, message, signature) {
      if (publicKey.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
      if (isWeakPoint(publicKey) || isWeakPoint(signature.subarray(0, publicKeyBytes))) return false;
      const der = Buffer.concat([spkiPrefix, publicKey]);
      return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
    },

    memoryProtection: () => ({ implementation: "node", locked: false }),
  };
}

function privateKey(seed: Uint8Array): KeyObject {
  requireSeed(seed);
  const der = Buffer.allocUnsafeSlow(pkcs8Prefix.length + seed.length);
  try {
    der.set(pkcs8Prefix);
    der.set(seed, pkcs8Prefix.length);
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  } finally {
    der.fill(0);
  }
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(spkiPrefix.length));
}

function isWeakPoint(encoded: Uint8Array): boolean {
  const y = Buffer.from(encoded);
  y[31]! &= 0x7f;
  return smallOrder.has(y.toString("hex")) || isNotCanonical(y);
}

/** y is 2^255 - 19 or more: 0xed … 0xff, then 0xff throughout. */
function isNotCanonical(y: Uint8Array): boolean {
  return y[0]! >= 0xed && y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
}
