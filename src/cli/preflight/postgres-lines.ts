/** Lines on the PostgreSQL server that several replicas share. */
import { wayTo } from "../../config/postgres-checks.ts";
import type { ExaminedServer } from "../../store/postgres/examined-server.ts";
import { type Evidence, foreign } from "./evidence.ts";
import { fail, type Line, pass, skipped } from "./line.ts";
import { replicasOf } from "./store-lines.ts";

const names = ["postgres-tls", "postgres-primary", "postgres-pooler", "postgres-connections"];

export function postgresLines(evidence: Evidence): Line[] {
  const { config, store } = evidence;
  if (config.store.name !== "postgres") return names.map((name) => skipped(name, `the store is ${config.store.name}`));
  const server = store?.server;
  if (server === undefined || foreign(evidence) !== undefined) {
    return names.map((name) => skipped(name, "not tried: these settings are not the service's"));
  }
  if ("why" in server) {
    const [, ...others] = names;
    const line = fail("postgres-tls", server.why, "run it as the service's user, with its settings");
    return [line, ...others.map((name) => skipped(name, "not tried: the server gave no answer"))];
  }
  return [
    tlsLine(config.store.url, server.got),
    primaryLine(server.got),
    poolerLine(server.got),
    connectionsLine(server.got, replicasOf(evidence)),
  ];
}

function tlsLine(url: string, { tls }: ExaminedServer): Line {
  const way = wayTo(url);
  const advice =
    "add sslmode=verify-full to fluo.kms.postgres.url, and fluo.kms.postgres.ca for an authority of your own";
  if (way === "verified" && tls !== undefined) return pass("postgres-tls", `sslmode=verify-full, ${tls}`);
  if (way === "here") return skipped("postgres-tls", "the server is on this machine");
  return fail(
    "postgres-tls",
    tls === undefined ? "the connection is in the clear" : `${tls}, and no verify-full`,
    advice,
  );
}

function primaryLine({ isStandby }: ExaminedServer): Line {
  if (!isStandby) return pass("postgres-primary", "the server is written to");
  const found = "the server is in recovery: a standby, which may lack what was acknowledged";
  return fail("postgres-primary", found, "let fluo.kms.postgres.url lead to the server that is written to");
}

function poolerLine({ isPooled }: ExaminedServer): Line {
  if (!isPooled) return pass("postgres-pooler", "none that shares sessions was seen");
  const found = "a transaction pooler is between: replicas are not told of changes through it";
  return fail("postgres-pooler", found, "let fluo.kms.postgres.url lead to the server itself, or pool by session");
}

/** Replicas that a rolling update adds. */
const surge = 1;
/** Connections for backups, migrations, superusers and whoever looks. */
const others = 10;

function connectionsLine({ maxConnections, perReplica }: ExaminedServer, replicas: number): Line {
  const needed = (replicas + surge) * perReplica + others;
  const found = `(${replicas} + ${surge}) × ${perReplica} + ${others} = ${needed} of ${maxConnections}`;
  if (needed <= maxConnections) return pass("postgres-connections", found);
  return fail("postgres-connections", found, "raise max_connections, or lower fluo.kms.postgres.max-connections");
}
