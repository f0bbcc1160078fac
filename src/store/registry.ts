/** The stores by name. Each is imported when it is chosen. */
import { invalidField } from "../errors.ts";
import type { MemorySettings } from "./memory.ts";
import type { PostgresSettings } from "./postgres.ts";
import type { SqliteSettings } from "./sqlite.ts";
import type { LockedStore } from "./store.ts";

export type StoreSettings = MemorySettings | SqliteSettings | PostgresSettings;

type Openers = {
  [Name in StoreSettings["name"]]: (settings: Extract<StoreSettings, { name: Name }>) => Promise<LockedStore>;
};

const openers: Openers = {
  memory: async () => (await import("./memory.ts")).openMemory(),
  sqlite: async (settings) => (await import("./sqlite.ts")).openSqlite(settings),
  postgres: async (settings) => (await import("./postgres.ts")).openPostgres(settings),
};

/** Opens the store that `settings.name` names and brings its schema up to date. STORE_UNAVAILABLE where that cannot be. */
export async function openStore(settings: StoreSettings): Promise<LockedStore> {
  if (!Object.hasOwn(openers, settings.name)) {
    throw invalidField("fluo.kms.store", `must be one of ${Object.keys(openers).join(", ")}, not ${settings.name}`);
  }
  return openers[settings.name](settings as never);
}
