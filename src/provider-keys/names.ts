/**
 * Names of open provider keys. A record names the key that wrapped it by provider and key id alone, and not every such name is one key's in
 * all the world: two Vaults may both have a transit/keys/fluo, and whoever runs an endpoint has it say what it likes. So of keys at
 * different places with one name only one is used: else a record would be sent to the other's server, and one tenant's refusals would be
 * taken for another's.
 */
import { KmsError } from "../errors.ts";
import { nameOf, wrappedBy } from "./provider-keys.ts";
import type { NamedProviders } from "../provider/open.ts";
import type { Provider } from "../provider/provider.ts";
import { type ProviderSettings, realmOf } from "../provider/registry.ts";

/** Who has a name. */
export interface Holder {
  /** As operators know it. One that is opened anew, under other settings, is no other. */
  owner: string;
  key: Pick<Provider, "name" | "keyId">;
  settings: ProviderSettings;
  /** Told that another has the better right. The service's own keys have none to yield to. */
  giveWay?: ((why: KmsError) => void) | undefined;
}

export interface KeyNames {
  /** Gives back the name, when it is called. Throws INVALID_ARGUMENT where a key of another place has the name. */
  take(holder: Holder): () => void;
}

/** Of the provider keys that the configuration names for all, in its order. */
export function ownKeys({ provider, otherProvider }: NamedProviders, opened: readonly Holder["key"][]): Holder[] {
  const settings = [provider, ...(otherProvider === undefined ? [] : [otherProvider])];
  return settings.map((each, at) => ({ owner: "the service's own", key: opened[at]!, settings: each }));
}

export function keyNames(own: readonly Holder[]): KeyNames {
  const holders = new Map<string, Set<Holder>>();
  const ofName = ({ key }: Holder) => {
    const name = nameOf(wrappedBy(key));
    const known = holders.get(name) ?? new Set();
    holders.set(name, known);
    return known;
  };
  for (const each of own) ofName(each).add(each);
  return {
    take(holder) {
      const present = ofName(holder);
      const rivals = [...present].filter((other) => isRival(other, holder));
      const stronger = rivals.find((other) => other.giveWay === undefined || !hasBetterRight(holder, other));
      if (stronger !== undefined) throw sameName(holder, stronger);
      for (const weaker of rivals) {
        present.delete(weaker);
        weaker.giveWay!(sameName(weaker, holder));
      }
      present.add(holder);
      return () => void present.delete(holder);
    },
  };
}

/** Of two that have one name. */
function isRival(one: Holder, other: Holder): boolean {
  return one.owner !== other.owner && realmOf(one.settings) !== realmOf(other.settings);
}

/** The cloud itself answered for the one, and for the other whoever runs its server. */
function hasBetterRight(one: Holder, other: Holder): boolean {
  return realmOf(one.settings) === undefined && realmOf(other.settings) !== undefined;
}

/** It is for operators to know whose the other is. */
function sameName({ key }: Holder, { owner }: Holder): KmsError {
  const advice = `Records name a provider key by ${nameOf(wrappedBy(key))} alone, and so does one elsewhere, ${owner}: give one of the two another name, as in another mount of transit`;
  return new KmsError("INVALID_ARGUMENT", "its key has the same name as one at another place", { advice });
}
