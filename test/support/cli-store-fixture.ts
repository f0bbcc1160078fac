/** A store with keys in every state, made by the real keyring; and the commands that open it, as processes. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import type { RowValue } from "../../src/store/sql/rows/mac.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { wholeKeyring, type WholeKeyring } from "./whole-keyring.ts";
import { publicPartOf } from "../../src/keys/key-check.ts";
import type { KeyRecord } from "../../src/store/key-record.ts";
import { recordContext } from "../../src/keys/states.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { openProvider } from "../../src/provider/registry.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import type { Store } from "../../src/store/store.ts";
import { directory } from "./config-fixture.ts";
import { dayMs } from "./keys-fixture.ts";
import { type Result, run } from "./cli-fixture.ts";
import type { SharedPostgres } from "./shared-postgres.ts";
import { msFromNow } from "./from-now.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "./wall-time.ts";

/** Of any of the commands. */
export interface Answer {
  code: string;
  ok: boolean;
  store: string;
  keys: { data: Record<string, number>; signing: Record<string, number> };
  opened: number;
  audit: { events: number; heads: { writer_id: string; sequence: number; mac: string }[] };
  problems: Problem[];
}

export interface Problem {
  kind: string;
  tenant_id: string;
  purpose: string | null;
  key_id: string;
  what: string;
}

export interface Place {
  directory: string;
  settings: StoreSettings;
  masterKeyFile: string;
  /** For a command or a service. */
  env: Record<string, string>;
  /** A command, where the place is. */
  run(...args: string[]): Promise<Result>;
  /** The same, with its JSON. */
  json(...args: string[]): Promise<{ code: number | null; answer: Answer }>;
  /** The same place with another store. */
  with(settings: StoreSettings): Place;
}

export function sqlitePlace(name = "kms.db"): Place {
  const path = directory();
  return place(path, { name: "sqlite", file: join(path, name) });
}

/** Makes an empty place whose store is a new database of `server`. */
export async function postgresPlace(server: Pick<SharedPostgres, "createDatabase">): Promise<Place> {
  return place(directory(), { name: "postgres", url: await server.createDatabase(), maxConnections: 2 });
}

/** Makes an empty place of each kind of store, for `describe.each`. `server` is asked once a place is made. */
export function placesOn(
  server: () => Pick<SharedPostgres, "createDatabase">,
): [name: string, make: () => Promise<Place>][] {
  return [
    ["sqlite", async () => sqlitePlace()],
    ["postgres", () => postgresPlace(server())],
  ];
}

export function place(path: string, settings: StoreSettings): Place {
  const masterKeyFile = join(path, "master.key");
  const env: Record<string, string> = { FLUO_KMS_STORE: settings.name, FLUO_KMS_LOCAL_MASTER_KEY_FILE: masterKeyFile };
  if (settings.name === "sqlite") env.FLUO_KMS_SQLITE_FILE = settings.file;
  if (settings.name === "postgres") env.FLUO_KMS_POSTGRES_URL = settings.url;
  const here = (...args: string[]) => run(args, { env, cwd: path });
  return {
    directory: path,
    settings,
    masterKeyFile,
    env,
    run: here,
    async json(...args) {
      const { code, out } = await here(...args, "--json");
      return { code, answer: JSON.parse(out) };
    },
    with: (other) => place(path, other),
  };
}

export interface Unlocked {
  store: Store;
  provider: Provider;
  keyring: WholeKeyring;
}

/** Works on the store itself, as a service would, at a time of its own. */
export async function inStore<T>(
  { settings, masterKeyFile }: Place,
  work: (parts: Unlocked) => Promise<T>,
  clock = () => new Date(),
): Promise<T> {
  const [provider] = await openProvider({ name: "local", masterKeyFile }, realTime);
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  const keyring = wholeKeyring({ store, provider, time: wallTime(clock) });
  try {
    return await work({ store, provider, keyring });
  } finally {
    keyring.close();
    await store.close();
  }
}

/** Tenants are named for what became of their first data key. Gives those keys as they are now. */
export async function liveIn(where: Place): Promise<Record<string, KeyRecord>> {
  const start = msFromNow(-20 * dayMs);
  let days = 0;
  const clock = () => new Date(start + days * dayMs);
  const make = async ({ store, provider, keyring }: Unlocked) => {
    const id = async (tenantId: string) => (await keyring.activeDataKey(tenantId)).keyId;
    const by = { actor: "ann", requestId: "" };
    const ids = new Map<string, string>();
    for (const tenantId of ["active", "retired", "disabled", "enabled", "compromised", "overdue", "destroyed"]) {
      ids.set(tenantId, await id(tenantId));
      await keyring.activeSigningKey(tenantId);
    }
    const request = (tenantId: string) => ({ tenantId, keyId: ids.get(tenantId)!, by });
    await keyring.rotate({ tenantId: "retired", purposes: ["data"], force: true, requestId: "once" });
    await keyring.disable(request("disabled"));
    await keyring.disable(request("enabled"));
    await keyring.enable(request("enabled"));
    await keyring.markCompromised(request("compromised"));
    await keyring.scheduleDestruction({ ...request("destroyed"), days: 7 });
    days = 8;
    await keyring.destroyDue();
    await keyring.scheduleDestruction({ ...request("overdue"), days: 7 });
    await store.lease("rotation/2", "me", 1_000);
    const pending = { ...(await store.active("active", "data"))!, keyId: "00".repeat(16), createdAt: new Date() };
    const secret = randomBytes(32);
    const wrapped = await provider.encrypt(secret, recordContext(pending));
    await store.insertPending({ ...pending, wrapped, publicKey: publicPartOf("data", secret) });
    const found = await Promise.all(
      [...ids].map(async ([tenantId, keyId]) => [tenantId, await store.get(tenantId, keyId)]),
    );
    return Object.fromEntries(found);
  };
  return inStore(where, make, clock);
}

/** What whoever has the database and not its key can do. */
export async function sql(
  { settings }: Place,
  text: string,
  ...values: RowValue[]
): Promise<Record<string, RowValue>[]> {
  if (settings.name === "postgres") {
    const client = new pg.Client({ connectionString: settings.url });
    await client.connect();
    try {
      return (await client.query(text.replaceAll(/\?(\d+)/g, "$$$1"), values)).rows;
    } finally {
      await client.end();
    }
  }
  if (settings.name !== "sqlite" || !existsSync(settings.file)) throw new Error("no such database");
  const db = new DatabaseSync(settings.file, { timeout: 5_000 });
  try {
    return db.prepare(text).all(...values) as Record<string, RowValue>[];
  } finally {
    db.close();
  }
}
