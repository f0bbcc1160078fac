/**
 * A tenant's data key in the form that is used: two independent Cobblestone input keys, one for PII and one for data
 * keys, each `HKDF-Expand-SHA-512(key, "fluo-kms/v1/" ‖ use, 32)`: what one sealed cannot be opened as the other's.
 * They are no KeyObjects: cheaper for HMAC, and overwritten at once rather than when memory is collected.
 */
import { KmsError } from "../errors.ts";
import { createHkdfKey, type HkdfKey, hkdfExpand } from "../crypto/hkdf.ts";

export const dataKeyBytes = 32;

export type DataKeyUse = "pii" | "data-key";

export interface DataKeyMaterial {
  /** Of 32 bytes, to use at once and not to keep: `destroy` overwrites them. Throws INTERNAL after `destroy`. */
  inputKey(use: DataKeyUse): HkdfKey;
  /** Overwrites both keys. May be called again. */
  destroy(): void;
}

/** Copies what it needs: the caller overwrites `key`. */
export function deriveDataKeys(key: Uint8Array): DataKeyMaterial {
  if (key.length !== dataKeyBytes) throw new KmsError("INTERNAL", `a data key is ${dataKeyBytes} bytes`);
  const inputKeys: Readonly<Record<DataKeyUse, HkdfKey>> = {
    pii: deriveInputKey(key, "pii"),
    "data-key": deriveInputKey(key, "data-key"),
  };
  let destroyed = false;
  return {
    inputKey(use) {
      if (destroyed) throw new KmsError("INTERNAL", "a data key was used after it was destroyed");
      return inputKeys[use];
    },
    destroy() {
      destroyed = true;
      inputKeys.pii.forget();
      inputKeys["data-key"].forget();
    },
  };
}

/** In memory of their own: neither node's buffer pool nor the heap, where the collector leaves copies. */
function deriveInputKey(key: Uint8Array, use: DataKeyUse): HkdfKey {
  const bytes = Buffer.allocUnsafeSlow(dataKeyBytes);
  try {
    hkdfExpand(key, [Buffer.from(`fluo-kms/v1/${use}`)], bytes);
    const inputKey = createHkdfKey();
    inputKey.use(bytes);
    return inputKey;
  } finally {
    bytes.fill(0);
  }
}
