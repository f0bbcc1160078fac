/**
 * One provider key in this process. Wrapped form: iv (12) ‖ ciphertext ‖ tag (16), AES-256-GCM under the provider key with the
 * canonical provider context as AAD. Random ivs bound a provider key to 2^32 wraps.
 * Without a key file the provider key is lost on restart, and with it every key that it wrapped.
 */
import { hkdfSync, type KeyObject } from "node:crypto";
import { openGcm, sealGcm } from "../../crypto/aes-gcm.ts";
import { providerContextBytes } from "../../crypto/encryption-context.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import type { Provider } from "../provider.ts";
import { checkPlaintext, freshDataKey, withLastBitFlipped } from "../secrets.ts";
import { masterKeyFromFile, randomMasterKey } from "./master-key.ts";
import type { LocalSettings } from "./settings.ts";

const fingerprintBytes = 8;

export async function openLocal({ masterKeyFile, groupReadable = false }: LocalSettings): Promise<Provider> {
  if (masterKeyFile === undefined) return localProvider(randomMasterKey());
  return localProvider(await masterKeyFromFile(masterKeyFile, { groupReadable }));
}

/** `key` is a secret KeyObject of 32 bytes. */
export function localProvider(key: KeyObject): Provider {
  return {
    name: "local",
    keyId: `local:${fingerprint(key)}`,

    async generateDataKey(context, signal) {
      refuseAborted(signal);
      return freshDataKey(async (plaintext) => sealGcm(key, plaintext, providerContextBytes(context)));
    },

    async encrypt(plaintext, context, signal) {
      refuseAborted(signal);
      checkPlaintext(plaintext);
      return sealGcm(key, plaintext, providerContextBytes(context));
    },

    async decrypt(wrapped, context, signal) {
      refuseAborted(signal);
      return openGcm(key, wrapped, providerContextBytes(context));
    },

    tampered: withLastBitFlipped,

    async describe(signal) {
      refuseAborted(signal);
      return { state: "enabled", detail: "in this process" };
    },

    async inspect(signal) {
      return { ...(await this.describe(signal)), rotation: undefined, advice: [] };
    },

    async close() {},
  };
}

/** Tells provider keys apart and says nothing else about them: HKDF-SHA-256 under a label of its own, 64 bits. */
function fingerprint(key: KeyObject): string {
  const bytes = hkdfSync("sha256", key, "", "fluo-kms/v1/local-key-id", fingerprintBytes);
  return Buffer.from(bytes).toString("hex");
}
