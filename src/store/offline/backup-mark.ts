/**
 * The mark of a backup, by which a copy of it in the place of a store is known: what was written after it was made is lost, and nobody would be
 * told. A restore writes to another store, which has none. The header of the file has it too, for tools that show that.
 */
import { KmsError } from "../../errors.ts";
import type { Query } from "../sql/rows/database.ts";

/** `FKMB` */
const applicationId = 0x464b4d42;

/** Runs outside of a transaction. */
export async function mark(query: Query, at: Date): Promise<void> {
  await query(`pragma application_id = ${applicationId}`);
  await query("create table kms_backup (made_at integer not null) strict");
  await query("insert into kms_backup (made_at) values (?1)", at.getTime());
}

/** Throws STORE_UNAVAILABLE for a database that is a backup. */
export async function refuseMarked(query: Query): Promise<void> {
  const [header] = await query("pragma application_id");
  const table = await query("select 1 as one from sqlite_schema where name = 'kms_backup'");
  if (header?.application_id !== applicationId && table.length === 0) return;
  throw new KmsError("STORE_UNAVAILABLE", "this is a backup, and no store to go on with: its logs would fork", {
    advice: "move it to another name, and restore it into an empty store: fluo-kms restore FILE",
  });
}
