/**
 * The SDK's clients of one vault, kept to what this service wants of them: no retries and no redirects of their own, no timeouts but the
 * caller's signal, which ends a call wherever it is, also in a body that stalls or in the search for a token.
 *
 * CryptographyClient would by itself get the key before its first use and then judge by that copy: refuse to unwrap with a version that
 * has expired, which the vault allows (learn.microsoft.com/azure/key-vault/keys/about-keys-details#date-time-controlled-operations), and
 * wrap by RSA-OAEP here, with a disabled key too. So it gets a key without attributes and without material, and every call goes to the
 * vault. All share the pipeline of one KeyClient: each pipeline of its own would begin with a challenge, in which the
 * SDK loses the body of a request while another one is through with it; the call at the start has that to itself.
 */
import {
  CryptographyClient,
  type CryptographyClientOptions,
  KeyClient,
  type KeyVaultKey,
  type UnwrapResult,
  type WrapResult,
} from "@azure/keyvault-keys";
import type { Time } from "../../runtime/time.ts";
import { azureCalls, type CallOptions, type Send } from "./exchanges.ts";
import type { AzureConnection } from "./connection.ts";
import type { AzureTokens } from "./tokens.ts";
import type { AzureKeyName } from "./key.ts";
import type { WrapAlgorithm } from "./wrapped.ts";

export interface AzureClientSettings {
  key: AzureKeyName;
  connection: AzureConnection;
  tokens: AzureTokens;
  time: Time;
  /** `azure.verify-challenge-resource` */
  verifyChallengeResource: boolean;
}

export interface KeyOperation {
  algorithm: WrapAlgorithm;
  version: string;
  bytes: Uint8Array;
}

/** As answered, unchecked: `kid` is what the answer says, where the SDK gives back what it was asked for. */
export interface KeyOperationAnswer {
  kid: unknown;
  result: Uint8Array | undefined;
}

/** Each call throws a KmsError and nothing else. What it resolves with is Azure's word, unchecked. */
export interface AzureClient {
  /** The current version. `body` is the answer as it came. */
  getKey(signal?: AbortSignal): Promise<{ key: KeyVaultKey; body: unknown }>;
  hasVersion(version: string, signal?: AbortSignal): Promise<boolean>;
  /** As in learn.microsoft.com/rest/api/keyvault/keys/get-key-rotation-policy */
  rotationPolicy(signal?: AbortSignal): Promise<unknown>;
  wrapKey(operation: KeyOperation, signal?: AbortSignal): Promise<KeyOperationAnswer>;
  /** Undefined where there is no such version, or no such key. */
  unwrapKey(operation: KeyOperation, signal?: AbortSignal): Promise<KeyOperationAnswer | undefined>;
  /** This machine's clock minus Azure's, by its last answer, good or not; undefined before the first. */
  clockSkewMs(): number | undefined;
}

/**
 * What KeyClient stands on, and its getCryptographyClient hands on. KeyClient's own getKeyRotationPolicy leaves out the options of a call,
 * and with them the signal.
 */
interface GeneratedClient {
  getKeyRotationPolicy(name: string, options: CallOptions): Promise<unknown>;
}

export function azureClient({
  key,
  connection,
  tokens,
  time,
  verifyChallengeResource,
}: AzureClientSettings): AzureClient {
  const { vaultUrl, name, keyId } = key;
  let clockSkewMs: number | undefined;
  const options = {
    ...connection.options(({ dateMs }) => {
      if (dateMs !== undefined) clockSkewMs = time.now().getTime() - dateMs;
    }),
    disableChallengeResourceVerification: !verifyChallengeResource,
  };
  const keys = new KeyClient(vaultUrl, tokens, { ...options });
  const { client: generatedClient } = keys as unknown as { client: GeneratedClient };
  const { call, callVersion } = azureCalls(keyId, tokens);

  function cryptography(version: string): CryptographyClient {
    const id = `${vaultUrl}/keys/${name}/${version}`;
    const bare: KeyVaultKey = { id, name, properties: { vaultUrl, name, version } };
    return new CryptographyClient(bare, tokens, { ...options, generatedClient } as CryptographyClientOptions);
  }

  return {
    async getKey(signal) {
      const { value, body } = await call({ action: "read" }, (given) => keys.getKey(name, given), signal);
      return { key: value, body };
    },
    async hasVersion(version, signal) {
      return (
        (await callVersion({ action: "read" }, (given) => keys.getKey(name, { ...given, version }), signal)) !==
        undefined
      );
    },
    async rotationPolicy(signal) {
      const send: Send<unknown> = (given) => generatedClient.getKeyRotationPolicy(name, given);
      return (await call({ action: "readRotation" }, send, signal)).body;
    },
    async wrapKey({ algorithm, version, bytes }, signal) {
      const send: Send<WrapResult> = (given) => cryptography(version).wrapKey(algorithm, bytes, given);
      const { value, body } = await call({ action: "wrap", version }, send, signal);
      return { kid: kidIn(body), result: value.result };
    },
    async unwrapKey({ algorithm, version, bytes }, signal) {
      const send: Send<UnwrapResult> = (given) => cryptography(version).unwrapKey(algorithm, bytes, given);
      const answered = await callVersion({ action: "unwrap", version }, send, signal);
      return answered && { kid: kidIn(answered.body), result: answered.value.result };
    },
    clockSkewMs: () => clockSkewMs,
  };
}

/** Of a wrap or an unwrap. */
function kidIn(body: unknown): unknown {
  return (Object(body) as { kid?: unknown }).kid;
}
