/**
 * The store key's SHA-256, as the configuration may pin it. A provider that wraps for anyone opens a store key that somebody else chose
 * and wrapped, with records under it to match; nothing but the pin tells that store from the right one. The hash of 32 random bytes says
 * nothing of them.
 */
import { createHash, type KeyObject, timingSafeEqual } from "node:crypto";
import { KmsError } from "../../errors.ts";
import type { Provider } from "../../provider/provider.ts";

const setting = "azure.store-key-fingerprint";

/** 64 lower-case hexadecimal digits. */
export function fingerprintOf(storeKey: KeyObject): string {
  const secret = storeKey.export();
  try {
    return sha256(secret).toString("hex");
  } finally {
    secret.fill(0);
  }
}

/** DATA_LOSS for another store key than the pinned one. It does not say what that one's fingerprint is, lest that be pinned. */
export function refuseOther(secret: Uint8Array, pin: string | undefined): void {
  if (pin === undefined || timingSafeEqual(sha256(secret), Buffer.from(pin, "hex"))) return;
  const advice = `where ${setting} is another store's, set this one's; else somebody has put another store in its place: put back the right one, from a backup`;
  throw new KmsError("DATA_LOSS", `the store key is not the one that ${setting} names`, { advice });
}

/** DATA_LOSS for a store without a key, before one is made that would not be the pinned one. */
export function refuseNew(pin: string | undefined): void {
  if (pin === undefined) return;
  const advice = `put back the store that it names, or leave ${setting} out for the first start of a new one`;
  throw new KmsError("DATA_LOSS", `the store has no key, and ${setting} names one`, { advice });
}

/** What to do about a store key that is not pinned and can be wrapped by others; undefined where there is nothing to do. */
export function pinAdvice(
  fingerprint: string,
  providers: readonly Provider[],
  pin: string | undefined,
): string | undefined {
  const open = pin === undefined ? providers.find(({ wrapsForAnyone }) => wrapsForAnyone === true) : undefined;
  if (open === undefined) return undefined;
  return `Whoever knows the public key of ${open.keyId} can put a store of their own in this one's place; pin this store's key: ${setting}=${fingerprint}`;
}

function sha256(secret: Uint8Array): Buffer {
  return createHash("sha256").update(secret).digest();
}
