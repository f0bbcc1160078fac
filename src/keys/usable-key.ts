/** Keys in the form that is used. Made from the 32 secret bytes of a record, which the maker then overwrites. */
import { type DataKeyMaterial, deriveDataKeys } from "../envelope/key-material.ts";
import { signingKey } from "../crypto/ed25519.ts";
import type { SigningKey } from "../crypto/ed25519-contract.ts";
import { nameOf } from "../provider-keys/provider-keys.ts";
import type { KeyRecord, Purpose } from "../store/key-record.ts";

export interface UsableDataKey {
  readonly keyId: string;
  /** The provider key that wrapped it, as provider-keys.ts names it, when it was unwrapped. */
  readonly wrappedBy: string;
  readonly material: DataKeyMaterial;
  destroy(): void;
}

export interface UsableSigningKey {
  readonly keyId: string;
  /** Likewise. */
  readonly wrappedBy: string;
  readonly key: SigningKey;
  /** Has `listener` called once the key is destroyed: whoever copied its seed then overwrites the copy. */
  onDestroy(listener: () => void): void;
  destroy(): void;
}

export type Usable = { data: UsableDataKey; signing: UsableSigningKey };

/** Makes a usable key and copies what it needs of `secret`, which is the record's. */
export type ImportKey<P extends Purpose> = (record: KeyRecord, secret: Uint8Array) => Usable[P];

export const importDataKey: ImportKey<"data"> = (record, secret) => {
  const material = deriveDataKeys(secret);
  return { keyId: record.keyId, wrappedBy: nameOf(record), material, destroy: () => material.destroy() };
};

export const importSigningKey: ImportKey<"signing"> = (record, secret) => {
  const key = signingKey(secret);
  const listeners = new Set<() => void>();
  return {
    keyId: record.keyId,
    wrappedBy: nameOf(record),
    key,
    onDestroy: (listener) => listeners.add(listener),
    destroy() {
      key.destroy();
      for (const listener of listeners) listener();
      listeners.clear();
    },
  };
};
