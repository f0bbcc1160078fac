/**
 * Proof at the start that the service can write: its user has the right to every statement, and a transaction with an
 * insert commits. Without it a missing right, a trigger or a full disk fails the first call that writes.
 */
import { randomBytes } from "node:crypto";
import { KmsError } from "../../errors.ts";
import type { Query, Transaction } from "../sql/rows/database.ts";
import type { AnyTableName } from "../sql/rows/schema.ts";

type NeededRight = "select" | "insert" | "update" | "delete";

/** Rights by the statements of store/sql. The contract of stores is tested with these alone. */
export const neededRights: Readonly<Record<AnyTableName | "kms_schema", readonly NeededRight[]>> = {
  kms_schema: ["select"],
  kms_store: ["select", "insert", "update"],
  kms_keys: ["select", "insert", "update", "delete"],
  kms_requests: ["select", "insert", "delete"],
  kms_leases: ["select", "insert", "update"],
  kms_replicas: ["select", "insert", "update", "delete"],
  kms_audit_writers: ["select", "insert", "update"],
  kms_audit: ["select", "insert"],
  kms_commits: ["select"],
  kms_time: ["select", "insert", "update"],
  kms_logs: ["select", "insert", "update"],
  kms_log_requests: ["select", "insert", "delete"],
  kms_log_handovers: ["select", "insert"],
  kms_log_compromises: ["select", "insert"],
  kms_log_entries: ["select", "insert"],
  kms_log_hashes: ["select", "insert"],
};

const neededRows = Object.entries(neededRights)
  .flatMap(([table, rights]) => rights.map((right) => `('${table}', '${right}')`))
  .join(", ");

/**
 * Throws STORE_UNAVAILABLE if the user lacks a right on a table that is there. The error names the tables and the GRANT
 * to run.
 */
export async function refuseMissingRights(query: Query): Promise<void> {
  const missing = await query(
    `select needed.name, needed.privilege, quote_ident(current_user) as grantee
     from (values ${neededRows}) as needed (name, privilege)
     where not has_table_privilege(to_regclass(needed.name), needed.privilege)`,
  );
  const [first] = missing;
  if (first === undefined) return;
  const tables = Map.groupBy(missing, ({ name }) => String(name));
  const byRights = Map.groupBy(tables.keys(), (table) =>
    tables
      .get(table)!
      .map(({ privilege }) => privilege)
      .join(", "),
  );
  const grants = [...byRights].map(([rights, on]) => `grant ${rights} on ${on.join(", ")} to ${first.grantee}`);
  const message = `the PostgreSQL user ${first.grantee} lacks rights on ${[...tables.keys()].join(", ")}`;
  throw new KmsError("STORE_UNAVAILABLE", message, {
    advice: `let the owner of the tables run: ${grants.join("; ")}`,
  });
}

const idBytes = 16;

/**
 * Inserts the row of a replica, and deletes it before the commit, so that nobody sees it: a start that is refused later
 * leaves the store as it was.
 */
export async function proveInsert({ query }: Transaction): Promise<void> {
  const replicaId = randomBytes(idBytes).toString("hex");
  await query(
    "insert into kms_replicas (replica_id, release, version, seen_at, mac) values (?1, ?2, ?3, ?4, ?5)",
    replicaId,
    "",
    0,
    0,
    new Uint8Array(),
  );
  await query("delete from kms_replicas where replica_id = ?1", replicaId);
}
