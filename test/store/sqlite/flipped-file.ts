/** Single bits of a SQLite file that are flipped while nobody has it open, and what the examination of the store says afterwards. */
import type { KeyObject } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { hasCode } from "../../../src/errors.ts";
import { openSqlite } from "../../../src/store/sqlite/open.ts";
import type { Store } from "../../../src/store/store.ts";
import { randomFrom } from "../../crash/random.ts";
import { examined } from "../../support/examined.ts";
import { realTime } from "../../../src/runtime/time.ts";

export interface FlipOutcome {
  position: number;
  /** `refused`: the start; `found`: by the examination; `missed`: rows or entries of an index read otherwise, and nothing said so. */
  outcome: "refused" | "found" | "harmless" | "missed";
  /** Verdict of SQLite's own check; of a refusal, the message. */
  why: string;
}

/** Flips `count` bits, one at a time, in copies of `file`. */
export async function flipBits(file: string, key: KeyObject, count: number, seed: number): Promise<FlipOutcome[]> {
  const whole = readFileSync(file);
  const rows = contentOf(file);
  const random = randomFrom(seed);
  const outcomes: FlipOutcome[] = [];
  for (let flip = 0; flip < count; flip += 1) {
    const position = random.below(whole.length);
    const bytes = Buffer.from(whole);
    bytes[position]! ^= 1 << random.below(8);
    const copy = `${file}.flipped`;
    for (const end of ["-wal", "-shm", "-heads"]) rmSync(copy + end, { force: true });
    writeFileSync(copy, bytes, { mode: 0o600 });
    outcomes.push({ position, ...(await outcomeOf(copy, key, rows)) });
  }
  return outcomes;
}

async function outcomeOf(file: string, key: KeyObject, rows: string): Promise<Omit<FlipOutcome, "position">> {
  // Read first: the service will write to it.
  const isSame = contentOf(file) === rows;
  const check = checked(file);
  const store = await started(file, key);
  if (store instanceof Error) return { outcome: "refused", why: store.message };
  const { problems } = await examined(store).finally(() => store.close());
  if (problems.length > 0) return { outcome: "found", why: check };
  return { outcome: isSame ? "harmless" : "missed", why: check };
}

async function started(file: string, key: KeyObject): Promise<Store | Error> {
  try {
    const locked = await openSqlite({ name: "sqlite", file }, realTime);
    try {
      return await locked.unlock(key);
    } catch (error) {
      await locked.close();
      throw error;
    }
  } catch (error) {
    if (hasCode(error, "DATA_LOSS", "STORE_UNAVAILABLE")) return error;
    throw error;
  }
}

/** Every row of every table by its place in the table, and every entry of every index. */
function contentOf(file: string): string {
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const tables = db.prepare("select name from sqlite_schema where type = 'table' order by name").all();
      const all = tables.map(({ name }) => db.prepare(`select rowid, * from ${name} not indexed order by rowid`).all());
      return JSON.stringify([all, entriesOf(db)], (_, value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
      );
    } finally {
      db.close();
    }
  } catch (error) {
    return `unreadable: ${error}`;
  }
}

function entriesOf(db: DatabaseSync): unknown[] {
  const indexes = db.prepare("select name, tbl_name, sql from sqlite_schema where type = 'index' order by name").all();
  return indexes.map(({ name, tbl_name, sql }) => {
    const columns = db.prepare("select name from pragma_index_info(?)").all(name!);
    const [, expression] = /\((.*?)\)(?:\s+where\s.*)?$/s.exec(String(sql)) ?? [];
    const list = [...columns.map((column) => String(column.name ?? expression)), "rowid"].join(", ");
    const condition = /\swhere\s.*$/s.exec(String(sql))?.[0] ?? "";
    return db.prepare(`select ${list} from ${tbl_name} indexed by ${name} ${condition} order by ${list}`).all();
  });
}

function checked(file: string): string {
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      return db
        .prepare("pragma integrity_check")
        .all()
        .map((row) => String(row.integrity_check))
        .join("\n");
    } finally {
      db.close();
    }
  } catch (error) {
    return `unreadable: ${error}`;
  }
}

/** Flips a bit of the first place at which `text` stands in a leaf page of an index. */
export function flipIn(file: string, index: string, text: string): void {
  const db = new DatabaseSync(file, { readOnly: true });
  const pages = db.prepare("select pageno from dbstat where name = ? and pagetype = 'leaf'").all(index);
  const size = Number(db.prepare("pragma page_size").get()!.page_size);
  db.close();
  const bytes = readFileSync(file);
  for (const { pageno } of pages) {
    const start = (Number(pageno) - 1) * size;
    const at = bytes.subarray(start, start + size).indexOf(text);
    if (at < 0) continue;
    bytes[start + at]! ^= 2;
    writeFileSync(file, bytes);
    return;
  }
  throw new Error(`no leaf page of ${index} holds ${text}`);
}
