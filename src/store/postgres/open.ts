/**
 * The store of several replicas: PostgreSQL by pg. Unique constraints, advisory locks and compare-and-set do the coordination at READ
 * COMMITTED; LISTEN and NOTIFY carry the news of changes. A connection that is lost is made again by the next call.
 */
import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Time } from "../../runtime/time.ts";
import { inFlight } from "../../runtime/in-flight.ts";
import { KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import type { Database, Query, Row, Transaction } from "../sql/rows/database.ts";
import { adviceOn, leadToPrimary } from "./advice.ts";
import { connectionsTo, nameOf01, ownName, type PostgresServer, statementMs } from "./connections.ts";
import { postgresNews } from "./listen.ts";
import { proveInsert, refuseMissingRights } from "./write-access.ts";
import { type Dialect, earlierVersion } from "../sql/rows/schema.ts";
import { type MigrateMode, prepareSchema } from "../sql/upgrade/migration.ts";
import { longReads } from "../long-reads.ts";
import { rowMac } from "../sql/rows/mac.ts";
import { lockedSqlStore, sqlStore } from "../sql/store.ts";
import type { LockedStore, StoreConnections, StoreLoad } from "../store.ts";

export interface PostgresSettings extends PostgresServer {
  name: "postgres";
  /** One more listens for notifications, and two read long. */
  maxConnections: number;
  /** `auto` if it is not given. */
  migrate?: MigrateMode | undefined;
}

export const channelName = "fluo_kms";

export const postgresDialect: Dialect = {
  bytes: "bytea",
  integer: "bigint",
  text: 'text collate "C"',
  serial: "bigint generated always as identity primary key",
  tableEnd: "",
  hasSchema: "select count(to_regclass('kms_schema')) as present",
  // A backup may hold the tables for minutes. Less than audit rows may take, so that no replica stops for it.
  impatience: "set local lock_timeout = '1500ms'",
  // With a name from the URL both releases look alike. A start of this one holds the schema's lock, or waits for it.
  earlierSessions: `select count(*) as sessions from pg_stat_activity as other
    where datname = current_database() and pid <> pg_backend_pid() and (application_name = '${nameOf01}'
      or application_name = current_setting('application_name') and application_name <> '${ownName}' and not exists
        (select 1 from pg_locks where pg_locks.pid = other.pid and locktype = 'advisory'))`,
  refuse: (name, { before, when }) => [
    `create or replace function kms_refuse_earlier() returns trigger language plpgsql as
     $$ begin raise exception '${earlierVersion}'; end $$`,
    `create trigger ${name} before ${before} for each row when (${when}) execute function kms_refuse_earlier()`,
  ],
};

const closeMs = 2_000;
const rowsAStatement = 32;
/** Connections for long reads, so that they leave those of all other work alone. */
const readConnections = 2;
/** Connections of a replica besides `maxConnections`: these, and the one that listens. */
export const moreConnections = readConnections + 1;
const invalidPassword = "28P01";
/** A password that is rotated is written to the server and to the file, one after the other. */
const refusedTriesMs = [100, 200, 400, 800];

export async function openPostgres(
  { maxConnections, migrate, ...server }: PostgresSettings,
  time: Time,
): Promise<LockedStore> {
  const db = postgresDatabase(server, maxConnections, time);
  try {
    await db.read(async (query) => {
      await refuseStandby(query);
      await refuseMissingRights(query);
    });
    await prepareSchema(db, postgresDialect, migrate);
    await db.write(proveInsert);
  } catch (error) {
    await db.close();
    throw error;
  }
  const readers = postgresDatabase(server, readConnections, time);
  return readingApart(lockedSqlStore("postgres", db), readers, () => bothLoads(db.load(), readers.load()));
}

function readingApart(locked: LockedStore, readers: Database, load: () => StoreLoad): LockedStore {
  const close = async () => {
    await Promise.all([locked.close(), readers.close()]);
  };
  return {
    ...locked,
    async unlock(key) {
      const store = await locked.unlock(key);
      const reading = sqlStore(locked.name, readers, rowMac(key));
      const reads = Object.fromEntries(longReads.map((method) => [method, reading[method]]));
      return { ...store, ...reads, load, close };
    },
    close,
  };
}

function bothLoads(calls: PostgresLoad, longReads: PostgresLoad): StoreLoad {
  const of = (member: keyof StoreConnections) => calls.connections[member] + longReads.connections[member];
  return {
    waiting: calls.waiting + longReads.waiting,
    connections: { used: of("used"), idle: of("idle"), max: of("max") },
  };
}

type PostgresLoad = Required<StoreLoad>;

export interface PostgresDatabase extends Database {
  /** Load of this database's connections, without the one that listens. */
  load(): PostgresLoad;
}

/** `longestMs` is for one statement; 0 for no bound. */
export function postgresDatabase(
  server: PostgresServer,
  maxConnections: number,
  time: Time,
  longestMs = statementMs,
): PostgresDatabase {
  const instance = randomBytes(8).toString("hex");
  const config = connectionsTo(server, longestMs);
  const triesMs = server.passwordFile === undefined ? [] : refusedTriesMs;
  const connect = () => connectTo(pool, triesMs, time);
  const pool = poolOf(config, maxConnections);
  const news = postgresNews({ config, channel: channelName, instance, time });

  async function read<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await connect();
    let broken = false;
    try {
      return await work(queryOf(client));
    } catch (error) {
      broken = !(error instanceof KmsError);
      throw translated(error);
    } finally {
      client.release(broken);
    }
  }

  function moment<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return read(async (query) => {
      await query("begin isolation level repeatable read read only");
      try {
        return await work(query);
      } finally {
        await query("rollback").catch(() => {}); // the connection is lost, and `work` said so
      }
    });
  }

  async function write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const client = await connect();
    try {
      await client.query("begin isolation level read committed read write");
      const committed: (() => void)[] = [];
      const result = await work(transactionOf(client, instance, committed));
      step("postgres.written");
      const { command } = await client.query("commit");
      if (command !== "COMMIT") throw new KmsError("STORE_UNAVAILABLE", "PostgreSQL rolled the transaction back");
      step("postgres.committed");
      for (const each of committed) each();
      client.release();
      return result;
    } catch (error) {
      client.release(!(isAnswer(error) && (await rolledBack(client))));
      throw translated(error);
    }
  }

  return {
    read: (work) => inFlight("store", () => read(work)),
    moment: (work) => inFlight("store", () => moment(work)),
    write: (work) => inFlight("store", () => write(work)),
    // Dead rows go when PostgreSQL's own vacuum gets to them.
    scrub: async () => {
      await read((query) => query("vacuum kms_keys"));
    },
    watch: news.watch,
    load: () => ({
      waiting: pool.waitingCount,
      connections: { used: pool.totalCount - pool.idleCount, idle: pool.idleCount, max: maxConnections },
    }),
    clock: serverClock,
    now: serverClock,
    refuseStandby,
    // Commits are not counted: one row for all of them would make replicas wait for each other.
    async close() {
      // A server that has fallen silent acknowledges no goodbye.
      const closed = Promise.allSettled([news.close(), pool.end()]);
      await Promise.race([closed, time.sleep(closeMs, { ref: false })]);
    },
  };
}

function poolOf(config: pg.PoolConfig, max: number): pg.Pool {
  const pool = new pg.Pool({ ...config, max, onConnect: durably } as pg.PoolConfig);
  pool.on("error", () => {}); // an idle connection was lost: the next call makes another
  // One that is lost within a transaction, between two statements: the next statement fails. Without a listener the process would end.
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** Of the server, or our own: then the connection is in order. Where there was none it would be waited for once more. */
function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError || error instanceof KmsError;
}

async function rolledBack(client: pg.PoolClient): Promise<boolean> {
  return client.query("rollback").then(
    () => true,
    () => false,
  );
}

/** Tries again, after these pauses, where the password is refused. */
async function connectTo(pool: pg.Pool, [pauseMs, ...more]: readonly number[], time: Time): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    if (pauseMs === undefined || (error as { code?: string }).code !== invalidPassword) throw translated(error);
  }
  await time.sleep(pauseMs);
  return connectTo(pool, more, time);
}

/** A server that does not wait for its disk acknowledges what a crash undoes. */
async function durably(client: pg.ClientBase): Promise<void> {
  await client.query(
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
  );
}

function queryOf(client: pg.PoolClient): Query {
  return async (text, ...values) => (await client.query<Row>(numbered(text), values)).rows;
}

function transactionOf(client: pg.PoolClient, instance: string, committed: (() => void)[]): Transaction {
  const query = queryOf(client);
  return {
    query,
    rowsAStatement,
    async lock(name, mode) {
      const lock = mode === "shared" ? "pg_advisory_xact_lock_shared" : "pg_advisory_xact_lock";
      await query(`select ${lock}(hashtextextended(?1, 0))`, `fluo-kms/${name}`);
    },
    async announce({ tenantId, keyId, state }) {
      await query("select pg_notify(?1, ?2)", channelName, JSON.stringify({ instance, tenantId, keyId, state }));
    },
    afterCommit: (work) => committed.push(work),
    async erases() {}, // nothing of ours can reach what PostgreSQL keeps
    now: () => serverClock(query),
  };
}

async function serverClock(query: Query): Promise<number> {
  const [row] = await query("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now");
  return Number(row?.now);
}

/** A failover may lead connections to the standby before it is the primary, and it reads as far as it got. */
async function refuseStandby(query: Query): Promise<void> {
  const [standby] = await query("select 1 where pg_is_in_recovery()");
  if (standby === undefined) return;
  const message = "the PostgreSQL server is a standby, which may lack what was acknowledged";
  throw new KmsError("STORE_UNAVAILABLE", message, { advice: leadToPrimary });
}

const numberedTexts = new Map<string, string>();

/** PostgreSQL's spelling of parameters. */
function numbered(text: string): string {
  let known = numberedTexts.get(text);
  if (known === undefined) {
    known = text.replaceAll(/\?(\d+)/g, "$$$1");
    numberedTexts.set(text, known);
  }
  return known;
}

/** unique_violation, serialization_failure, deadlock_detected: another was first. */
const lost = ["23505", "40001", "40P01"];

/** In our words: the server's may name what nobody else should read. */
const meanings: Readonly<Record<string, string>> = {
  "0A000": "the server is a standby", // no transaction of ours that writes begins there
  "25006": "the server is read-only",
  "3F000": "there is no schema that the user may use",
  "42501": "a right was refused",
  "53100": "the server's disk is full",
  "53200": "the server is out of memory",
  "53300": "the server has no connection left",
  "55P03": "a table is held, by a backup perhaps: start again when that has ended",
  "57014": "the server took too long",
  "57P01": "the server is shut down",
  "57P03": "the server starts up or shuts down",
};

/** An error of the driver's own. */
function withoutCode(cause: unknown): string {
  return /does not support SSL/.test(String(cause)) ? "the server speaks no TLS" : "no answer";
}

function translated(cause: unknown): unknown {
  if (cause instanceof KmsError || cause instanceof TypeError || cause instanceof RangeError) return cause;
  const { code } = cause as { code?: string };
  if (code !== undefined && lost.includes(code)) return new KmsError("CONFLICT", "another was first", { cause });
  const meaning = code === undefined ? withoutCode(cause) : meanings[code];
  const reason = [code, meaning].filter((part) => part !== undefined).join(", ");
  const advice = adviceOn(code);
  return new KmsError("STORE_UNAVAILABLE", `the PostgreSQL store failed (${reason})`, { cause, advice });
}
