/** The store of a service that keeps nothing: a database in this process, gone when it ends, and otherwise as every other. */
import { createSecretKey, randomBytes } from "node:crypto";
import type { Time } from "../../runtime/time.ts";
import { rowMac } from "../sql/rows/mac.ts";
import { embeddedDatabase, sqliteDialect } from "./embedded.ts";
import { migrations, newestSchema } from "../sql/rows/schema.ts";
import { lockedSqlStore, sqlStore } from "../sql/store.ts";
import type { LockedStore, Store } from "../store.ts";

export interface MemorySettings {
  name: "memory";
}

export function openMemory(time: Time): LockedStore {
  return lockedSqlStore("memory", memoryDatabase(time));
}

/** For probes and tests: unlocked with a key of its own. */
export function memoryStore(time: Time): Store {
  const db = memoryDatabase(time);
  const key = createSecretKey(randomBytes(32));
  const stored = { storeId: "", provider: "", providerKeyId: "", wrapped: new Uint8Array(), createdAt: new Date(0) };
  lockedSqlStore("memory", db)
    .insertStoreKey(stored, key)
    .catch(() => {}); // nothing is written before it
  return sqlStore("memory", db, rowMac(key));
}

function memoryDatabase(time: Time) {
  const schema = [
    ...migrations.flatMap((step) => step(sqliteDialect)),
    "create table kms_schema (version integer, min_reader integer)",
    `insert into kms_schema values (${newestSchema}, ${newestSchema})`,
  ];
  return embeddedDatabase({ file: ":memory:", schema, soon: queueMicrotask, time });
}
