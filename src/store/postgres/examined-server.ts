/** How a PostgreSQL server is set up, for an operator before production. Nothing is written. */
import { realTime } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import type { Query } from "../sql/rows/database.ts";
import { moreConnections, type PostgresDatabase, postgresDatabase, type PostgresSettings } from "./open.ts";

export interface ExaminedServer {
  /** Connections that it takes in all. */
  maxConnections: number;
  /** Most connections that one replica makes. */
  perReplica: number;
  /** Whether it follows another server. */
  isStandby: boolean;
  /** Version, such as `TLSv1.3`; undefined for a connection in the clear. */
  tls: string | undefined;
  /** Whether a pooler lends one session to several connections: LISTEN and settings of a session are lost behind it. */
  isPooled: boolean;
}

const rounds = 5;

/** STORE_UNAVAILABLE if it gives no answer. */
export async function examineServer({ maxConnections, ...server }: PostgresSettings): Promise<ExaminedServer> {
  const db = postgresDatabase(server, 2, realTime);
  try {
    const [row] = await db.read((query) =>
      query(
        `select current_setting('max_connections')::int as connections, pg_is_in_recovery()::int as standby,
         (select version from pg_stat_ssl where pid = pg_backend_pid() and ssl) as tls`,
      ),
    );
    if (row === undefined)
      throw new KmsError("STORE_UNAVAILABLE", "the PostgreSQL server did not say how it is set up");
    return {
      maxConnections: Number(row.connections),
      perReplica: maxConnections + moreConnections,
      isStandby: Number(row.standby) === 1,
      tls: typeof row.tls === "string" ? row.tls : undefined,
      isPooled: await sharesSessions(db),
    };
  } finally {
    await db.close();
  }
}

/**
 * Whether two connections at once met one process of the server. A pooler takes a process back at the end of each
 * transaction, and lends the one that was used last: the second connection gets it while the first is open.
 */
async function sharesSessions(db: PostgresDatabase): Promise<boolean> {
  return db.read(async (first) => {
    for (let round = 0; round < rounds; round += 1) {
      const own = await processOf(first);
      const other = await db.read(async (second) => {
        await second("begin");
        return processOf(second).finally(() => second("rollback"));
      });
      if (own === other || own !== (await processOf(first))) return true;
    }
    return false;
  });
}

async function processOf(query: Query): Promise<number> {
  const [row] = await query("select pg_backend_pid() as pid");
  return Number(row?.pid);
}
