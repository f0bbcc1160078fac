/** A store with its heads file, as one run of the service after the other has it; and the ways in which a store is put back. */
import { createHash, createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import { startHeads } from "../../src/store/heads/keeper.ts";
import { type HeadsPlace, placeOf } from "../../src/store/heads/place.ts";
import type { Store } from "../../src/store/store.ts";
import { type Backdoor, postgresBackdoor, sqliteBackdoor, unlocked } from "./store-fixture.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";

export interface RunOptions {
  /** Between two looks at the store; a minute unless it is given. */
  intervalMs?: number;
  /** That of this machine unless another is given. */
  time?: Time;
}

const event = { actor: "ann", action: "encrypt_pii", tenantId: "acme", purpose: "data", keyId: "" } as const;

/** A use, as the audit trail has it. */
export function use(): AuditEvent {
  return { ...event, at: new Date(), outcome: "OK", requestId: "", count: 1 };
}

export function sqliteWorld(): HeadsWorld {
  const door = sqliteBackdoor();
  const { file } = door;
  return world(door, placeOf({ name: "sqlite", file }, { file: undefined, required: false })!, async () => {
    const kept = join(mkdtempSync(join(tmpdir(), "fluo-kms-copy-")), "kms.db");
    cpSync(file, kept);
    return {
      async putBack() {
        for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
        cpSync(kept, file);
      },
    };
  });
}

export async function postgresWorld(server: Parameters<typeof postgresBackdoor>[0]): Promise<HeadsWorld> {
  const door = await postgresBackdoor(server);
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-heads-")), "replica-heads");
  const place = placeOf({ name: "postgres", url: door.url, maxConnections: 4 }, { file, required: false })!;
  return world(door, place, () => copiedRows(door.url));
}

/** Every row of every table, as a dump has them. It may be put back while services are connected. */
export async function copiedRows(url: string): Promise<{ putBack(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: names } = await client.query("select tablename from pg_tables where schemaname = 'public'");
  const tables = new Map<string, unknown[]>();
  for (const { tablename } of names) {
    tables.set(tablename, (await client.query(`select to_jsonb(t) as row from ${tablename} t`)).rows);
  }
  await client.end();
  return {
    async putBack() {
      const back = new pg.Client({ connectionString: url });
      await back.connect();
      await back.query("begin");
      for (const [table, rows] of tables) {
        await back.query(`delete from ${table}`);
        for (const { row } of rows as { row: unknown }[]) {
          const from = `from jsonb_populate_record(null::${table}, $1)`;
          await back.query(`insert into ${table} overriding system value select * ${from}`, [row]);
        }
      }
      await back.query("commit");
      await back.end();
    },
  };
}

export type HeadsWorld = ReturnType<typeof world>;
export type Run = Awaited<ReturnType<typeof run>>;

function world(door: Backdoor, place: HeadsPlace, copied: () => Promise<{ putBack(): Promise<void> }>) {
  const key = createSecretKey(randomBytes(32));
  return {
    ...door,
    /** The store key. */
    key,
    place,
    /** The database as it is now, to be put back while nobody has it open. */
    copied,
    /** Opens the store as somebody does who knows of no heads file. */
    unlocked: async (): Promise<Store> => unlocked(await door.open(), key),
    /** Opens the store and judges it, as a start of the service does. Closes it again where that is refused. */
    start: async (changes?: Partial<HeadsPlace> & RunOptions) =>
      run(await unlocked(await door.open(), key), key, { ...place, ...changes }),
  };
}

interface Written {
  generation: number;
  commits: number | null;
  writers_counted: number;
  writers: { writer_id: string; sequence: number }[];
  keys: { tenant_id: string }[];
}

/** The newer of the two generations of a heads file, and its SHA-256. */
export function newestOf(file: string): Written & { sha256: string } {
  const all = [file, `${file}.1`].map((each) => {
    const bytes = readFileSync(each);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { ...(JSON.parse(bytes.toString()) as Written), sha256 };
  });
  return all.sort((a, b) => b.generation - a.generation)[0]!;
}

/** Starts a service twice at once on a store that no start met before, `rounds` times. */
export async function startTwoAtOnce(make: () => HeadsWorld | Promise<HeadsWorld>, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    const fresh = await make();
    await (await fresh.unlocked()).close(); // one of them made the store
    const runs = await Promise.all([1, 2].map(() => fresh.start()));
    for (const { end } of runs) await end();
  }
}

async function run(
  store: Store,
  storeKey: KeyObject,
  { intervalMs = 60_000, time = realTime, ...place }: HeadsPlace & RunOptions,
) {
  const log: string[] = [];
  try {
    const heads = await startHeads({
      store,
      storeKey,
      place,
      intervalMs,
      time,
      changed() {},
      log: { error: (_details, message) => log.push(message), info: (message) => log.push(message) },
    });
    /** Ends heads and store in order. */
    const end = async () => {
      await heads.close();
      await store.close();
    };
    return { store, heads, log, end };
  } catch (error) {
    await store.close();
    throw error;
  }
}

export function removeHeads({ file }: HeadsPlace): void {
  for (const each of [file, `${file}.1`]) if (existsSync(each)) rmSync(each);
}
