/**
 * SHA-256 and Ed25519 by WebCrypto. Platforms differ on public keys and signatures whose points are of small order or not canonical, under
 * which a signature can fit many messages: those are refused here, as the service refuses them.
 */
import { hexText } from "./bytes.ts";
import { ownSubtle, type Subtle } from "./platform.ts";

export const hashBytes = 32;
export const publicKeyBytes = 32;
export const signatureBytes = 64;

export interface Crypto {
  sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** Whether the signature of 64 bytes is the public key's, of 32 bytes. */
  isSignedBy(publicKey: Uint8Array, message: Uint8Array<ArrayBuffer>, signature: Uint8Array): Promise<boolean>;
}

/** The y coordinates of the points of order 1, 2, 4 and 8, little-endian, without the sign bit. */
const smallOrder: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/** 2^252 + 27742317777372353535851937790883648493, the order of the group: S of a signature is below it. */
const groupOrder = (1n << 252n) + 27742317777372353535851937790883648493n;

export function webCrypto(subtle: Subtle = ownSubtle()): Crypto {
  const imported = new Map<string, Promise<object | undefined>>();

  function importKey(publicKey: Uint8Array): Promise<object | undefined> {
    const id = hexText(publicKey);
    const key = imported.get(id) ?? importOrRefuse(subtle, publicKey);
    imported.set(id, key);
    return key;
  }

  return {
    sha256: async (bytes) => new Uint8Array(await subtle.digest("SHA-256", bytes)),

    async isSignedBy(publicKey, message, signature) {
      if (publicKey.length !== publicKeyBytes || signature.length !== signatureBytes) return false;
      const [point, scalar] = [signature.subarray(0, publicKeyBytes), signature.subarray(publicKeyBytes)];
      if (isWeakPoint(publicKey) || isWeakPoint(point) || littleEndian(scalar) >= groupOrder) return false;
      const key = await importKey(publicKey);
      return key !== undefined && subtle.verify({ name: "Ed25519" }, key, Uint8Array.from(signature), message);
    },
  };
}

/** Undefined for 32 bytes that are no point of the curve. Throws where the platform has no Ed25519. */
async function importOrRefuse(subtle: Subtle, publicKey: Uint8Array): Promise<object | undefined> {
  try {
    return await subtle.importKey("raw", Uint8Array.from(publicKey), { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof Error && error.name === "DataError") return undefined;
    throw new Error("WebCrypto of this platform has no Ed25519; update the browser or the runtime", { cause: error });
  }
}

function isWeakPoint(encoded: Uint8Array): boolean {
  const y = Uint8Array.from(encoded);
  y[31]! &= 0x7f;
  return smallOrder.has(hexText(y)) || littleEndian(y) >= 2n ** 255n - 19n;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${hexText(bytes.toReversed())}`);
}
