/** What is still to be re-wrapped, for an operator: one sentence for each provider key. */
import { type Notice, notice } from "../notices.ts";
import type { ProviderKeys } from "../provider-keys/provider-keys.ts";
import type { Store } from "../store/store.ts";

export async function rewrapNotices(
  store: Pick<Store, "storeKey" | "countWrappedByOthers">,
  keys: Pick<ProviderKeys, "wrapping" | "isNamed">,
): Promise<Notice[]> {
  const should = keys.wrapping();
  const { current } = should;
  const others = await store.countWrappedByOthers(should);
  const { provider, providerKeyId } = await store.storeKey();
  const isStoreLeft = provider !== current.provider || providerKeyId !== current.providerKeyId;
  const left = others.map((other) => {
    const count = other.keys === 1 ? "1 key is" : `${other.keys.toLocaleString("en")} keys are`;
    const where = `${count} still under ${other.provider} ${other.providerKeyId}`;
    const unnamed = `${where}, which the configuration does not name: name it, and run fluo-kms rewrap.`;
    return keys.isNamed(other)
      ? notice("REWRAP_DUE", `${where}: run fluo-kms rewrap.`, other.providerKeyId)
      : notice("REWRAP_UNNAMED", unnamed, other.providerKeyId);
  });
  const ofStore = `The store key is still under ${provider} ${providerKeyId}: run fluo-kms rewrap.`;
  return isStoreLeft ? [...left, notice("REWRAP_DUE", ofStore, providerKeyId)] : left;
}
