/** Two keyrings over one throw-away store: the second meets the first one's keys with an empty cache. */
import type { Time } from "../../../runtime/time.ts";
import { createKeyring, type Keyring } from "../../../keys/keyring.ts";
import { providerKeys } from "../../../provider-keys/provider-keys.ts";
import type { Provider } from "../../../provider/provider.ts";
import { memoryStore } from "../../../store/sqlite/memory.ts";

export interface ProbeKeyrings {
  first: Keyring;
  second: Keyring;
  close(): void;
}

/** Enough for one run, which asks for a key of each purpose. */
const cache = { ttlMs: 3_600_000, maxStaleMs: 0, maxEntries: 10 };

export function probeKeyrings(provider: Provider, time: Time): ProbeKeyrings {
  const parts = { store: memoryStore(time), providerKeys: providerKeys({ current: provider }), time, ...cache };
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
