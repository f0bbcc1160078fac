/**
 * What version a store's tables have, which releases may use it, and how it becomes this release's. The one row of `kms_schema` has
 * - `version`, to which a migration has brought the tables, and
 * - `min_reader`, the lowest version that a release must know to use the store. A migration leaves it as it is, so that replicas of the release
 *   before go on, and may come back. It rises when the upgrade is finished (end.ts): then no way leads back but a backup.
 */
import { KmsError } from "../../../errors.ts";
import { step } from "../../../failpoints.ts";
import type { Database, Query, Transaction } from "../rows/database.ts";
import { type Dialect, firstRollingSchema, type Migration, migrations, oldestSchema } from "../rows/schema.ts";

export interface SchemaState {
  version: number;
  minReader: number;
}

/** What a release knows: the steps to its version, and the version of the release before. */
export interface Release {
  steps: readonly Migration[];
  oldest: number;
}

export const thisRelease: Release = { steps: migrations, oldest: oldestSchema };

/** Whether a start brings the tables up to date, or leaves that to `fluo-kms migrate`. */
export type MigrateMode = "auto" | "never";

/**
 * Makes the tables this release's, or sees that they are. STORE_UNAVAILABLE where the store is not for this release, is to be migrated first, or is in
 * use by a release that could not come back.
 */
export async function prepareSchema(db: Database, dialect: Dialect, mode: MigrateMode = "auto"): Promise<void> {
  if (mode === "auto") await db.write((tx) => migrateUnused(tx, dialect));
  else refuseUnprepared(await db.read((query) => readSchema(query, dialect)));
}

/** Undefined where there are no tables of ours. */
export async function readSchema(
  query: Query,
  { hasSchema }: Pick<Dialect, "hasSchema">,
): Promise<SchemaState | undefined> {
  const [schema] = await query(hasSchema);
  return Number(schema?.present) > 0 ? stateIn(query) : undefined;
}

/** Reads a database that has a table `kms_schema`. */
export async function stateIn(query: Query): Promise<SchemaState | undefined> {
  const [row] = await query("select * from kms_schema");
  if (row === undefined) return undefined;
  const version = Number(row.version);
  return { version, minReader: Number(row.min_reader ?? version) };
}

/** STORE_UNAVAILABLE where a store is for releases that know more than `known`. */
export function forNewer(minReader: number, known = thisRelease.steps.length): KmsError | undefined {
  if (minReader <= known) return undefined;
  return new KmsError(
    "STORE_UNAVAILABLE",
    `the store is for releases that know schema version ${minReader}, and this one knows ${known}: use the newer release`,
  );
}

/** STORE_UNAVAILABLE for a store that this release may not use, whatever its tables are. */
export function refuseOthers({ version, minReader }: SchemaState, { steps, oldest }: Release = thisRelease): void {
  const newer = forNewer(minReader, steps.length);
  if (newer !== undefined) throw newer;
  // What the releases before could write, the first one that is rolled reads.
  const isFirst = version < firstRollingSchema;
  if ((isFirst ? firstRollingSchema : minReader) >= oldest) return;
  const found = isFirst ? `has schema version ${version}` : `was last finished for schema version ${minReader}`;
  throw new KmsError(
    "STORE_UNAVAILABLE",
    `the store ${found}, and this release follows the one of version ${oldest}: run that one's fluo-kms migrate --finish first`,
  );
}

function refuseUnprepared(state: SchemaState | undefined): void {
  const advice = "run fluo-kms migrate, or set fluo.kms.store.migrate to auto";
  if (state === undefined) {
    throw new KmsError("STORE_UNAVAILABLE", "the store has no tables yet, and fluo.kms.store.migrate is never", {
      advice,
    });
  }
  refuseOthers(state);
  const known = thisRelease.steps.length;
  if (state.version >= known) return;
  const message = `the store has schema version ${state.version}, this release needs ${known}, and fluo.kms.store.migrate is never`;
  throw new KmsError("STORE_UNAVAILABLE", message, { advice });
}

/**
 * Migrates, unless no way leads back and replicas of an earlier release are connected. One that starts meanwhile waits for the lock, and then
 * finds a store that is not for it.
 */
async function migrateUnused(tx: Transaction, dialect: Dialect): Promise<void> {
  await tx.lock("schema");
  const state = await readSchema(tx.query, dialect);
  // From the first rolling version on a migration leaves `min_reader` as it is, and the release before may come back.
  if (state !== undefined && state.version < firstRollingSchema) await refuseBesideEarlier(tx, dialect, state);
  await migrate(tx, dialect);
}

async function refuseBesideEarlier(tx: Transaction, dialect: Dialect, { version }: SchemaState): Promise<void> {
  if (dialect.earlierSessions === undefined) return;
  const [row] = await tx.query(dialect.earlierSessions);
  const sessions = Number(row?.sessions);
  if (sessions === 0) return;
  const known = thisRelease.steps.length;
  throw new KmsError(
    "STORE_UNAVAILABLE",
    `services of an earlier release use the store (connections: ${sessions}), and could not start again on schema version ${known}, from ${version}`,
    { advice: "stop them all and start again, or run fluo-kms migrate, which does not wait for them; back up before" },
  );
}

/** Brings the tables up to date, and gives the version that they had: 0 if there were none. Any number of replicas may do it at once. */
export async function migrate(tx: Transaction, dialect: Dialect, release: Release = thisRelease): Promise<number> {
  const { integer, tableEnd, impatience } = dialect;
  await tx.lock("schema");
  const state = await readSchema(tx.query, dialect);
  const version = state?.version ?? 0;
  if (state !== undefined) refuseOthers(state, release);
  if (version >= release.steps.length) return version;
  if (impatience !== undefined) await tx.query(impatience);
  // Only here: who finds the tables up to date needs no right to make any.
  await tx.query(
    `create table if not exists kms_schema (version ${integer} not null, min_reader ${integer})${tableEnd}`,
  );
  for (const each of release.steps.slice(version)) {
    for (const statement of each(dialect)) await tx.query(statement);
  }
  if (version > 0 && version < firstRollingSchema) await addMinReader(tx.query, dialect);
  const minReader = version < firstRollingSchema ? Math.min(release.oldest, release.steps.length) : state!.minReader;
  await writeState(tx.query, { version: release.steps.length, minReader });
  step("schema.migrated");
  return version;
}

/** Tables of releases that were stopped for an upgrade may lack the column. */
async function addMinReader(query: Query, { integer }: Dialect): Promise<void> {
  const [row] = await query("select * from kms_schema");
  if (row !== undefined && !("min_reader" in row))
    await query(`alter table kms_schema add column min_reader ${integer}`);
}

/** What a migration found, and what it left. */
export interface Migrated {
  /** 0 if there were no tables. */
  before: number;
  after: SchemaState;
}

export function migrated(db: Database, dialect: Dialect): Promise<Migrated> {
  return db.write(async (tx) => ({ before: await migrate(tx, dialect), after: (await stateIn(tx.query))! }));
}

export async function writeState(query: Query, { version, minReader }: SchemaState): Promise<void> {
  await query("delete from kms_schema");
  await query("insert into kms_schema (version, min_reader) values (?1, ?2)", version, minReader);
}
