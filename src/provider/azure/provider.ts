/**
 * One key at Azure, as a Provider. New keys are wrapped under the version that was current when the key was last looked at, and opened
 * with the version that they name. Answers are distrusted: they must come from this key and version and have the right lengths.
 */
import { randomBytes } from "node:crypto";
import { providerContextBytes } from "../../crypto/encryption-context.ts";
import { ciphertextRejected, hasCode } from "../../errors.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { answerChecks } from "../answer-checks.ts";
import { distrusted } from "../distrust.ts";
import type { Provider } from "../provider.ts";
import { checkPlaintext, freshDataKey, withLastBitFlipped } from "../secrets.ts";
import type { AzureClient } from "./client.ts";
import { type AzureKey, type AzureKeyName, answeredVersion, isRsa } from "./key.ts";
import { type KnownKey, knownKey } from "./known-key.ts";
import { rotationOf } from "./report.ts";
import { openWrapped, parseWrapped, secretBytes, sealWrapped, type WrappedForm, wrappedKeyBytes } from "./wrapped.ts";

export interface OpenedKey {
  client: AzureClient;
  name: AzureKeyName;
  /** As it was when it was opened. */
  key: AzureKey;
  credential: NonNullable<Provider["credential"]>;
  time: Time;
  close(): Promise<void>;
}

export function azureProvider({ client, name, key, credential, time, close }: OpenedKey): Provider {
  const known = knownKey(client, name, key, time);
  const { wrapSecret, unwrapSecret } = secretCalls(client, name, known);

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

    /** Context and form are sealed here, under K: the vault cannot change them. */
    tampered: withLastBitFlipped,

    async describe(signal) {
      return known.stateIn(await known.look(signal));
    },

    async inspect(signal) {
      const seen = await known.look(signal);
      const { advice: onRotation, ...rotation } = await rotationOf(name, () => client.rotationPolicy(signal));
      return { ...known.stateIn(seen), ...rotation, advice: [...known.adviceOn(seen), ...onRotation] };
    },

    credential,
    close,
  };
  return provider;
}

/** The secret K of a wrapped key, at the vault and back. */
interface SecretCalls {
  /** Wraps under the current version; where that is refused, the key is looked at, as another version may be current by now. */
  wrapSecret(
    secret: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Pick<WrappedForm, "algorithm" | "version" | "wrappedKey">>;
  /** The caller overwrites the result. */
  unwrapSecret(form: WrappedForm, signal?: AbortSignal): Promise<Uint8Array>;
}

function secretCalls(client: AzureClient, name: AzureKeyName, known: KnownKey): SecretCalls {
  const checks = answerChecks(); // the resilience layer sees what K seals, and never K

  async function wrapUnderKnown(secret: Uint8Array, signal?: AbortSignal) {
    const refused = known.wrapRefused();
    if (refused !== undefined) throw refused;
    const { algorithm, version, bits } = known.current();
    const { kid, result } = await client.wrapKey({ algorithm, version, bytes: secret }, signal);
    answeredVersion(name, kid, version);
    const wanted = algorithm === "RSA-OAEP-256" ? bits / 8 : wrappedKeyBytes(algorithm)[0];
    if (!(result instanceof Uint8Array) || result.length !== wanted)
      throw distrusted("a wrapped key of another length");
    return { algorithm, version, wrappedKey: checks.wrapped(result, secret) };
  }

  return {
    async wrapSecret(secret, signal) {
      if (known.wrapRefused() !== undefined) await known.look(signal);
      const { version } = known.current();
      try {
        return await wrapUnderKnown(secret, signal);
      } catch (error) {
        if (!hasCode(error, "PROVIDER_DENIED")) throw error;
        await known.look(signal);
        const refused = known.wrapRefused();
        if (known.current().version === version || refused !== undefined) throw refused ?? error;
        return wrapUnderKnown(secret, signal);
      }
    },

    async unwrapSecret({ algorithm, version, wrappedKey }, signal) {
      const answer = await client.unwrapKey({ algorithm, version, bytes: wrappedKey }, signal);
      if (answer === undefined) throw await known.whyMissing(version, signal);
      const { kid, result } = answer;
      try {
        answeredVersion(name, kid, version);
        if (!(result instanceof Uint8Array) || result.length !== secretBytes)
          throw distrusted("a key of another length");
        return checks.opened(Uint8Array.from(result), wrappedKey);
      } finally {
        if (result instanceof Uint8Array) result.fill(0);
      }
    },
  };
}
