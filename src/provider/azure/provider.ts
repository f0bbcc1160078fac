/**
 * One key at Azure, as a Provider. New keys are wrapped under the version that was current when the key was last looked at, and opened
 * with the version that they name. Answers are distrusted: they must come from this key and version and have the right lengths.
 */
import { randomBytes } from "node:crypto";
import { providerContextBytes } from "../../crypto/encryption-context.ts";
import { ciphertextRejected, hasCode, type KmsError } from "../../errors.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import { distrusted } from "../distrust.ts";
import type { Provider, ProviderKeyState } from "../provider.ts";
import { checkPlaintext, freshDataKey } from "../secrets.ts";
import * as advice from "./advice.ts";
import type { AzureClient } from "./client.ts";
import { type AzureKey, type AzureKeyName, answeredVersion, describedKey, isRsa, refusal } from "./key.ts";
import { keyAdvice, rotationOf, stateOf, wrapRefusal } from "./report.ts";
import { openWrapped, parseWrapped, secretBytes, sealWrapped, type WrappedForm, wrappedKeyBytes } from "./wrapped.ts";

export interface OpenedKey {
  client: AzureClient;
  name: AzureKeyName;
  /** As it was when it was opened. */
  key: AzureKey;
  close(): Promise<void>;
}

export function azureProvider({ client, name, key, close }: OpenedKey): Provider {
  let known = key;
  let isReplaced = false;
  const versions = new Set([key.version]);

  /** The current version, which wraps from now on. */
  async function look(signal?: AbortSignal): Promise<AzureKey> {
    const { key: answered, body } = await client.getKey(signal);
    const version = answeredVersion(name, answered.id);
    const seen = describedKey(answered, version, body);
    if (version !== known.version) isReplaced = !(await client.hasVersion(known.version, signal));
    if (!isReplaced) {
      known = seen;
      versions.add(version);
    }
    return seen;
  }

  function stateIn(seen: AzureKey): ProviderKeyState {
    const clockSkewMs = client.clockSkewMs();
    const disabled = (detail: string) => ({ state: "disabled", detail, clockSkewMs }) as const;
    if (isReplaced) return disabled("replaced by another of its name");
    if (isRsa(seen) !== isRsa(key)) return disabled(`of type ${seen.type}, and was ${key.type}`);
    return { ...stateOf(seen, azureNowMs()), clockSkewMs };
  }

  function azureNowMs(): number {
    return Date.now() - (client.clockSkewMs() ?? 0);
  }

  function wrapRefused(): KmsError | undefined {
    if (isReplaced) return refusal("was replaced by another of its name", advice.replaced(name));
    if (isRsa(known) !== isRsa(key))
      return refusal(`is of type ${known.type} now, and was ${key.type}`, advice.look(name));
    return wrapRefusal(name, known, azureNowMs());
  }

  /** K under the current version; where that is refused, the key is looked at, as another version may be current by now. */
  async function wrapSecret(secret: Uint8Array, signal?: AbortSignal) {
    if (wrapRefused() !== undefined) await look(signal);
    const { version } = known;
    try {
      return await wrapUnderKnown(secret, signal);
    } catch (error) {
      if (!hasCode(error, "PROVIDER_DENIED")) throw error;
      await look(signal);
      if (known.version === version || wrapRefused() !== undefined) throw wrapRefused() ?? error;
      return wrapUnderKnown(secret, signal);
    }
  }

  async function wrapUnderKnown(secret: Uint8Array, signal?: AbortSignal) {
    const refused = wrapRefused();
    if (refused !== undefined) throw refused;
    const { algorithm, version, bits } = known;
    const { kid, result } = await client.wrapKey({ algorithm, version, bytes: secret }, signal);
    answeredVersion(name, kid, version);
    const wanted = algorithm === "RSA-OAEP-256" ? bits / 8 : wrappedKeyBytes(algorithm)[0];
    if (!(result instanceof Uint8Array) || result.length !== wanted)
      throw distrusted("a wrapped key of another length");
    return { algorithm, version, wrappedKey: result };
  }

  async function unwrapSecret({ algorithm, version, wrappedKey }: WrappedForm, signal?: AbortSignal) {
    const answer = await client.unwrapKey({ algorithm, version, bytes: wrappedKey }, signal);
    if (answer === undefined) throw await whyMissing(version, signal);
    const { kid, result } = answer;
    try {
      answeredVersion(name, kid, version);
      if (!(result instanceof Uint8Array) || result.length !== secretBytes) throw distrusted("a key of another length");
      return Uint8Array.from(result);
    } finally {
      if (result instanceof Uint8Array) result.fill(0);
    }
  }

  /** A version that never was is of a wrapped key that was altered, or is another key's; a key that is gone says so when it is looked at. */
  async function whyMissing(version: string, signal?: AbortSignal): Promise<KmsError> {
    await look(signal);
    if (isReplaced) return refusal("was replaced by another of its name", advice.replaced(name));
    const isKnown = versions.has(version) || (await client.hasVersion(version, signal));
    return isKnown ? distrusted("it knows no version that it has") : ciphertextRejected();
  }

  const provider: Provider = {
    name: "azure",
    keyId: name.keyId,
    wrapsForAnyone: isRsa(key),

    generateDataKey: (context, signal) => freshDataKey((plaintext) => provider.encrypt(plaintext, context, signal)),

    async encrypt(plaintext, context, signal) {
      refuseAborted(signal);
      checkPlaintext(plaintext);
      providerContextBytes(context); // one that cannot be bound is refused before a call
      const secret = randomBytes(secretBytes);
      try {
        return sealWrapped({ ...(await wrapSecret(secret, signal)), secret, plaintext, context });
      } finally {
        secret.fill(0);
      }
    },

    async decrypt(wrapped, context, signal) {
      refuseAborted(signal);
      const form = parseWrapped(wrapped);
      // An RSA wrap proves no origin: where the key is AES, whoever knows the public key of an older version has no way in.
      if ((form.algorithm === "RSA-OAEP-256") !== isRsa(key)) throw ciphertextRejected();
      providerContextBytes(context);
      const secret = await unwrapSecret(form, signal);
      try {
        return openWrapped(form, secret, context);
      } finally {
        secret.fill(0);
      }
    },

    async describe(signal) {
      return stateIn(await look(signal));
    },

    async inspect(signal) {
      const seen = await look(signal);
      const { rotation, advice: onRotation } = await rotationOf(name, () => client.rotationPolicy(signal));
      const onKey = keyAdvice(name, seen, azureNowMs());
      return {
        ...stateIn(seen),
        rotation,
        advice: [...(isReplaced ? [advice.replaced(name)] : []), ...onKey, ...onRotation],
      };
    },

    close,
  };
  return provider;
}
