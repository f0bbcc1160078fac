/**
 * Azure Key Vault and Managed HSM: one key, RSA or (Managed HSM) AES, of whatever version is current. Wrapped form: wrapped.ts.
 * The vault is asked for the key at start, so that one that cannot be used is known before anything depends on it.
 */
import { invalidField, KmsError } from "../../errors.ts";
import { azureClient } from "./client.ts";
import { azureConnection } from "./connection.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { distrusted } from "../distrust.ts";
import { answeredVersion, describedKey, keyName, parseKeyId, unfit } from "./key.ts";
import { azureProvider } from "./provider.ts";
import type { AzureSettings } from "./settings.ts";
import { azureTokens } from "./tokens.ts";
import type { Provider } from "../provider.ts";

/** The search for a token included. */
const openTimeoutMs = 10_000;

/**
 * Throws INVALID_ARGUMENT for settings or a key that cannot be used, PROVIDER_DENIED for a key that is missing or out of reach of the
 * credentials, and PROVIDER_UNAVAILABLE where Azure does not answer.
 */
export async function openAzure(settings: AzureSettings, time: Time): Promise<Provider> {
  const { keyId, version } = parseKeyId(settings.key) ?? {};
  if (keyId === undefined || version !== undefined) {
    throw invalidField("azure.key-vault.key", "must be a key's identifier without a version");
  }
  const key = keyName(keyId);
  const connection = await azureConnection(settings.caFile);
  const tokens = azureTokens({ connection, time, instanceDiscovery: settings.instanceDiscovery });
  const client = azureClient({
    key,
    connection,
    tokens,
    time,
    verifyChallengeResource: settings.verifyChallengeResource,
  });
  try {
    const { key: answered, body } = await withDeadline(time, openTimeoutMs, late, (signal) => client.getKey(signal));
    const name = { ...key, keyId: identityOf(keyId, answered.id, settings) };
    const current = describedKey(answered, answeredVersion(name, answered.id), body);
    const wrong = unfit(name, current);
    if (wrong !== undefined) throw wrong;
    return azureProvider({
      client,
      name,
      key: current,
      credential: tokens.credential,
      time,
      close: async () => connection.close(),
    });
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A vault that is reached by a private name knows its own, and answers with that; both name one key, of the name that was asked for. */
function identityOf(keyId: string, answered: unknown, { verifyChallengeResource }: AzureSettings): string {
  if (verifyChallengeResource) return keyId;
  const own = parseKeyId(String(answered))?.keyId;
  if (own === undefined || keyName(own).name !== keyName(keyId).name) throw distrusted("it comes from another key");
  return own;
}

function late(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider azure did not answer in time");
}
