/** Two keyrings over one throw-away store: the second meets the first one's keys with an empty cache. */
import { createKeyring, type Keyring } from "../../../keys/keyring.ts";
import { providerKeys } from "../../../provider-keys/provider-keys.ts";
import type { Provider } from "../../../provider/provider.ts";
import { memoryStore } from "../../../store/sqlite/memory.ts";

export interface ProbeKeyrings {
  first: Keyring;
  second: Keyring;
  close(): void;
}

export function probeKeyrings(provider: Provider): ProbeKeyrings {
  const parts = { store: memoryStore(), providerKeys: providerKeys({ current: provider }) };
  const [first, second] = [createKeyring(parts), createKeyring(parts)];
  return {
    first,
    second,
    close() {
      first.close();
      second.close();
    },
  };
}
