/**
 * The key as it was last seen: its current version, which wraps from then on, and whether another key was made under
 * its name, whose versions never opened anything of this one.
 */
import { ciphertextRejected, type KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";
import { distrusted } from "../distrust.ts";
import type { ProviderKeyState } from "../provider.ts";
import * as advice from "./advice.ts";
import type { AzureClient } from "./client.ts";
import { type AzureKey, type AzureKeyName, answeredVersion, describedKey, isRsa, refusal } from "./key.ts";
import { keyAdvice, stateOf, wrapRefusal } from "./report.ts";

export interface KnownKey {
  /** The version that wraps. */
  current(): AzureKey;
  /** Asks for the current version, which wraps from now on. */
  look(signal?: AbortSignal): Promise<AzureKey>;
  /** Why the key may not be asked to wrap; undefined where it may. */
  wrapRefused(): KmsError | undefined;
  /** Why there is no such version, or no such key. */
  whyMissing(version: string, signal?: AbortSignal): Promise<KmsError>;
  /** State of the key as the latest look saw it. */
  stateIn(seen: AzureKey): ProviderKeyState;
  adviceOn(seen: AzureKey): string[];
}

/** `opened` is the key as it was when it was opened: its type never changes. */
export function knownKey(client: AzureClient, name: AzureKeyName, opened: AzureKey, time: Time): KnownKey {
  let known = opened;
  let isReplaced = false;
  const versions = new Set([opened.version]);
  const replaced = () => refusal("was replaced by another of its name", advice.replaced(name));
  const azureNowMs = () => time.now().getTime() - (client.clockSkewMs() ?? 0);

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

  return {
    current: () => known,
    look,
    wrapRefused() {
      if (isReplaced) return replaced();
      if (isRsa(known) !== isRsa(opened)) {
        return refusal(`is of type ${known.type} now, and was ${opened.type}`, advice.look(name));
      }
      return wrapRefusal(name, known, azureNowMs());
    },
    /**
     * A version that never was is of a wrapped key that was altered, or is another key's; a key that is gone says so
     * when it is looked at.
     */
    async whyMissing(version, signal) {
      await look(signal);
      if (isReplaced) return replaced();
      const isKnown = versions.has(version) || (await client.hasVersion(version, signal));
      return isKnown ? distrusted("it knows no version that it has") : ciphertextRejected();
    },
    stateIn(seen) {
      const clockSkewMs = client.clockSkewMs();
      const disabled = (detail: string) => ({ state: "disabled", detail, clockSkewMs }) as const;
      if (isReplaced) return disabled("replaced by another of its name");
      if (isRsa(seen) !== isRsa(opened)) return disabled(`of type ${seen.type}, and was ${opened.type}`);
      return { ...stateOf(seen, azureNowMs()), clockSkewMs };
    },
    adviceOn: (seen) => [...(isReplaced ? [advice.replaced(name)] : []), ...keyAdvice(name, seen, azureNowMs())],
  };
}
