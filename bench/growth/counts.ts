/** Counting all keys takes longer the more there are; how long do the others wait meanwhile? */

import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { openStore } from "../../src/store/registry.ts";
import type { Database } from "../../src/store/sql/rows/database.ts";
import { tables } from "../../src/store/sql/rows/schema.ts";
import type { Store } from "../../src/store/store.ts";
import { spread, textOf } from "../figures.ts";
import { fill, openDatabase, type TenantProviderKeys } from "./fill.ts";
import type { Place } from "./sizes.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface Counted {
  store: string;
  keys: number;
  /** Milliseconds, a round: counting; the longest wait of calls that were made meanwhile; and of as many without counting. */
  counting: number[];
  meanwhile: number[];
  alone: number[];
}

const realKeys = 10_000;
const copies = [10, 100];
const rounds = 7;
const targetMs = 50;

export async function measureCounts(place: Place): Promise<Counted[]> {
  const settings = await place.settings("counts");
  const provider = await openLocal({ name: "local" });
  await fill(settings, provider, tenants());
  const db = openDatabase(settings);
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  const counted: Counted[] = [];
  for (const [index, upTo] of copies.entries()) {
    for (let copy = index === 0 ? 1 : copies[index - 1]!; copy < upTo; copy += 1) await copyKeys(db, copy);
    if (place.name === "postgres") await db.read((query) => query("vacuum analyze kms_keys"));
    const samples: Counted = { store: place.name, keys: realKeys * upTo, counting: [], meanwhile: [], alone: [] };
    for (let round = -1; round < rounds; round += 1) await measureRound(store, samples, round >= 0);
    counted.push(samples);
  }
  await Promise.all([db.close(), store.close()]);
  return counted;
}

function tenants(): TenantProviderKeys[] {
  return Array.from({ length: realKeys / 4 }, (_, index) => {
    return { tenantId: `tenant-${index}`, purposes: ["data", "signing"], versions: 2, activatedAt: new Date() };
  });
}

/** Under other names: their HMACs are wrong, and nobody reads them. */
async function copyKeys(db: Database, copy: number): Promise<void> {
  const [, , ...columns] = tables.kms_keys;
  const more = columns.join(", ");
  await db.write(({ query }) =>
    query(
      `insert into kms_keys (key_id, tenant_id, ${more})
       select key_id || cast(?1 as text), tenant_id || cast(?1 as text), ${more} from kms_keys where tenant_id not like '%/%'`,
      `/${copy}`,
    ),
  );
}

async function measureRound(store: Store, samples: Counted, isKept: boolean): Promise<void> {
  const startedMs = performance.now();
  let isCounting = true;
  const counting = store.counts().then(() => {
    isCounting = false;
    return performance.now() - startedMs;
  });
  const meanwhile: number[] = [];
  while (isCounting) meanwhile.push(await timedRead(store));
  const alone: number[] = [];
  for (let turn = 0; turn < Math.max(meanwhile.length, 100); turn += 1) alone.push(await timedRead(store));
  if (!isKept) return;
  samples.counting.push(await counting);
  samples.meanwhile.push(Math.max(...meanwhile));
  samples.alone.push(Math.max(...alone));
}

async function timedRead(store: Store): Promise<number> {
  const startedMs = performance.now();
  await store.active("tenant-7", "data");
  return performance.now() - startedMs;
}

export function countsTable(all: readonly Counted[]): string[][] {
  const text = (samples: readonly number[]) => textOf(spread(samples), " ms");
  return [
    ["store", "keys", "counting takes", "longest other call meanwhile", "as many without counting", "target", ""],
    ...all.map(({ store, keys, counting, meanwhile, alone }) => {
      const isMet = spread(meanwhile).median <= targetMs;
      const figures = [text(counting), text(meanwhile), text(alone)];
      return [store, String(keys), ...figures, `${targetMs} ms`, isMet ? "met" : "missed"];
    }),
  ];
}
