/** Lets the days of scheduled destructions pass for a store that nothing has open, as if services had seen them pass. */
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { openProvider } from "../../src/provider/registry.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import { realTime } from "../../src/runtime/time.ts";

const dayMs = 24 * 60 * 60 * 1000;

/** The store key may be under any of the provider keys. */
export async function witnessDays(settings: StoreSettings, masterKeyFiles: readonly string[], days: number) {
  const opened = await Promise.all(
    masterKeyFiles.map((masterKeyFile) => openProvider({ name: "local", masterKeyFile }, realTime)),
  );
  const [current, ...others] = opened.flat();
  const store = await unlockStore(
    await openStore(settings, realTime),
    providerKeys({ current: current!, others }),
    realTime,
  );
  try {
    const { noted } = await store.witnessedTime();
    if (noted === undefined) return;
    await store.noteWitnessedTime(noted, { ...noted, witnessedMs: noted.witnessedMs + days * dayMs });
  } finally {
    await store.close();
  }
}
