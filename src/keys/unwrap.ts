/** From a stored record to its 32 secret bytes, by the provider that wrapped them. */
import { hasCode, KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import { hasWrapped, type ProviderKeys } from "../provider-keys/provider-keys.ts";
import { refuseOtherSecret } from "./key-check.ts";
import type { KeyRecord } from "../store/key-record.ts";
import { recordContext } from "./states.ts";

export const secretBytes = 32;

/**
 * The caller owns, and overwrites, the result. PROVIDER_DENIED when a provider key wrapped the record that the configuration does not
 * name: restarted with another in-memory master key, key file or provider. DATA_LOSS when the right one cannot open it, or opens it to
 * another key than the record's; PROVIDER_DENIED where that one is a tenant's own.
 */
export async function unwrap(providerKeys: ProviderKeys, record: KeyRecord, signal?: AbortSignal): Promise<Uint8Array> {
  const secret = await unwrapUnchecked(providerKeys, record, signal);
  try {
    refuseOtherSecret(record, secret);
    return secret;
  } catch (error) {
    secret.fill(0);
    providerKeys.doubt(record);
    throw asTenantsAffair(providerKeys, record, error);
  }
}

/** For whoever knows the secret that must come out. */
export async function unwrapUnchecked(
  providerKeys: ProviderKeys,
  record: KeyRecord,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { keyId } = record;
  const provider = providerKeys.of(record, `key ${keyId}`);
  const secret = await open(provider, record, signal).catch((error) => {
    throw asTenantsAffair(providerKeys, record, error);
  });
  if (secret.length !== secretBytes) {
    secret.fill(0);
    providerKeys.doubt(record);
    throw new KmsError("PROVIDER_UNAVAILABLE", `the provider opened key ${keyId} to ${secret.length} bytes`);
  }
  return secret;
}

async function open(provider: Provider, record: KeyRecord, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await provider.decrypt(record.wrapped, recordContext(record), signal);
  } catch (error) {
    // A stored key that does not open is our loss, not a mistake in the caller's ciphertext.
    if (hasCode(error, "CIPHERTEXT_REJECTED")) {
      throw new KmsError("DATA_LOSS", `key ${record.keyId} cannot be opened by ${provider.keyId}`, { cause: error });
    }
    throw error;
  }
}

/**
 * What a tenant's own provider key opens otherwise than it wrapped it, or not at all, is no damage: the row is as it was written, and was
 * proven then. Whoever runs that key's server could else have the whole service say that its store is damaged.
 */
function asTenantsAffair({ shared }: ProviderKeys, record: KeyRecord, error: unknown): unknown {
  if (!hasCode(error, "DATA_LOSS")) return error;
  if (shared.some((provider) => hasWrapped(provider, record))) return error;
  const advice = `See that the key ${record.providerKeyId} is the one that it was, and restore it from a backup where it was replaced`;
  const message = `the tenant's provider key does not open key ${record.keyId} as it wrapped it`;
  return new KmsError("PROVIDER_DENIED", message, { cause: error, advice });
}
