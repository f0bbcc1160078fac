/**
 * What may be done about a log that lost durable commits, beside restoring a backup: go on with what is before the damage. That is an earlier
 * state of the store only where nothing of what is behind the damage was moved into the database yet, else a mixture of two states.
 */
import type { KeyObject } from "node:crypto";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { realTime } from "../../runtime/time.ts";
import { hasCode, invalidField, KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { readCommits, sumsOf } from "../sql/commits.ts";
import type { Query } from "../sql/rows/database.ts";
import { rowMac } from "../sql/rows/mac.ts";
import { migrate } from "../sql/upgrade/migration.ts";
import { lockedSqlStore } from "../sql/store.ts";
import { embeddedDatabase, sqliteDialect } from "../sqlite/embedded.ts";
import { pagesProblem } from "../sqlite/error-codes.ts";
import { copyDurably, realPath, syncDirectory } from "../sqlite/file.ts";
import { aloneWith } from "../sqlite/hold.ts";
import { examineLog, type ReadyFile } from "../sqlite/ready-log.ts";
import { commitsWithoutLog, storedCommits } from "../sqlite/stored-commits.ts";
import {
  acceptancePath,
  acceptanceText,
  type BegunAcceptance,
  begunAcceptance,
} from "../sqlite/wal/begun-acceptance.ts";
import type { RowProblem } from "../row-problem.ts";
import { makeSqliteTables } from "./sqlite.ts";
import type { Tables } from "./tables.ts";

export interface Acceptance {
  /** What the refusal printed. */
  digest: string;
  /** Who accepts it, for the audit trail. */
  actor: string;
  at: Date;
  /** Opens the store key of these tables. */
  keyOf(tables: Tables): Promise<KeyObject>;
  /** Recomputes the logs of spans, and tells of what is wrong with them. */
  checkLogs(tables: Tables, key: KeyObject, problem: (found: RowProblem) => void): Promise<void>;
}

export interface AcceptedLog {
  /** Path of the database as it was; the log's ends in `-wal`. */
  kept: string;
}

/**
 * Goes on without the damaged end of the log of a SQLite store, having kept database and log as they are, and says so in the audit trail.
 * Undefined if nothing stands in the way of opening the store. INVALID_ARGUMENT for the digest of another damage; STORE_UNAVAILABLE while the
 * store is in use; DATA_LOSS if what is left is not a state that the store was in: then nothing is changed, and a backup must be restored.
 * After a crash the digest is that of before, and what was begun is ended.
 */
export async function acceptLostLog(
  { file: path, headsFile }: ReadyFile,
  acceptance: Acceptance,
): Promise<AcceptedLog | undefined> {
  const file = realPath(path);
  return aloneWith(file, async () => {
    const { problem } = examineLog({ file, headsFile });
    if (problem === undefined) return undefined;
    const { digest, at } = acceptance;
    if (problem.metadata.digest !== digest) throw invalidField("digest", `is of another damage: ${problem.message}`);
    const begun = begunAcceptance(file);
    const kept = begun?.kept ?? (await copying(file, () => keepAsItIs(file, at)));
    step("lost-log.kept");
    const key = await copying(file, () => refuseMixture(file, kept, acceptance));
    step("lost-log.tried");
    if (begun === undefined) await copying(file, () => begin(file, { digest, kept }));
    step("lost-log.begun");
    await dropEnd(file);
    step("lost-log.dropped");
    await tell(file, key, acceptance);
    step("lost-log.told");
    rmSync(acceptancePath(file));
    syncDirectory(dirname(file));
    return { kept };
  });
}

/** The store is not opened from here on, until the audit trail has its row. */
function begin(file: string, begun: BegunAcceptance): void {
  const [path, draft] = [acceptancePath(file), `${acceptancePath(file)}.new`];
  writeFileSync(draft, acceptanceText(begun), { mode: 0o644, flush: true }); // the service's user reads what root began
  renameSync(draft, path);
  syncDirectory(dirname(file));
}

/** Writes the row that says so, unless an acceptance that did not end has written it. */
async function tell(file: string, key: KeyObject, { digest, actor, at }: Acceptance): Promise<void> {
  const db = embeddedDatabase({ file, soon: setImmediate, time: realTime });
  try {
    await db.write((tx) => migrate(tx, sqliteDialect));
    const store = await lockedSqlStore("sqlite", db).unlock(key);
    const told = "select 1 from kms_audit where action = 'accept_rollback' and detail = ?1";
    if ((await db.read((query) => query(told, digest))).length > 0) return;
    const event = { at, actor, action: "accept_rollback", detail: digest, outcome: "OK", count: 1 } as const;
    const known = { noted: [], mayHaveMore: true }; // any log may have had more in what was dropped
    await store.acceptRollback({ ...event, tenantId: "", purpose: undefined, keyId: "", requestId: "" }, known);
  } finally {
    await db.close();
  }
}

async function copying<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { syscall, code } = cause as NodeJS.ErrnoException;
    if (syscall === undefined) throw cause;
    throw new KmsError("STORE_UNAVAILABLE", `${file} cannot be copied beside itself (${code})`, { cause });
  }
}

function keepAsItIs(file: string, at: Date): string {
  const kept = `${file}.lost-${at.toISOString().replaceAll(/[-:.]/g, "")}`;
  for (const end of ["", "-wal"]) copyDurably(file + end, kept + end);
  return kept;
}

/** Tries in a copy what is left, and looks at every page and row of it. Gives the store key. */
async function refuseMixture(file: string, kept: string, { keyOf, checkLogs }: Acceptance): Promise<KeyObject> {
  const directory = mkdtempSync(`${file}.lost-`); // beside the store there is room for it
  try {
    const copy = join(directory, "kms.db");
    copyDurably(file, copy);
    const inDatabase = commitsWithoutLog(copy) ?? 0;
    if (existsSync(`${file}-wal`)) copyDurably(`${file}-wal`, `${copy}-wal`);
    await dropEnd(copy);
    if (inDatabase > (storedCommits(copy) ?? 0)) {
      throw new KmsError("DATA_LOSS", "the database has later commits than the log");
    }
    const tables = await makeSqliteTables({ name: "sqlite", file: copy });
    try {
      return await refuseProblems(tables, { keyOf, checkLogs });
    } finally {
      await tables.close();
    }
  } catch (error) {
    if (!hasCode(error, "DATA_LOSS")) throw error;
    const message = `what is left of the store is no state that it was in (${error.message}): restore it from a backup; both files are kept as ${kept}`;
    throw new KmsError("DATA_LOSS", message, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function refuseProblems(
  tables: Tables,
  { keyOf, checkLogs }: Pick<Acceptance, "keyOf" | "checkLogs">,
): Promise<KeyObject> {
  await tables.snapshot(async (query) => {
    const problem = await pagesProblem(query);
    if (problem !== undefined) throw new KmsError("DATA_LOSS", `its pages: ${problem}`);
  });
  if ((await tables.storeKey()) === undefined) throw new KmsError("DATA_LOSS", "it has no store key");
  const key = await keyOf(tables);
  await tables.snapshot((query) => refuseOtherSums(query, key));
  const problems: RowProblem[] = [];
  const problem = (found: RowProblem) => problems.push(found);
  await tables.check(key, { problem });
  await checkLogs(tables, key, problem);
  const [first] = problems;
  if (first !== undefined) throw new KmsError("DATA_LOSS", `${problems.length} rows, the first: ${first.what}`);
  return key;
}

/** The heads of logs and of audit writers must be of the commit that was counted last. */
async function refuseOtherSums(query: Query, key: KeyObject): Promise<void> {
  const counted = await readCommits(query, rowMac(key));
  if (counted === undefined) return;
  const present = await sumsOf(query);
  for (const table of ["kms_logs", "kms_audit_writers"] as const) {
    if (Buffer.compare(counted.sums[table], present[table]) !== 0)
      throw new KmsError("DATA_LOSS", `the rows of ${table} are not of one moment`);
  }
}

/** SQLite reads a log up to its damage; what it read is moved into the database, and the log is emptied. */
async function dropEnd(file: string): Promise<void> {
  const db = embeddedDatabase({ file, soon: setImmediate, time: realTime });
  try {
    await db.read((query) => query("select count(*) from sqlite_schema"));
  } finally {
    await db.close();
  }
}
