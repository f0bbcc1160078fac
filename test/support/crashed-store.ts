/** A SQLite store as a crash leaves it, with its newest keys in the write-ahead log alone; and damage to that log. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { inStore, type Place, place } from "./cli-store-fixture.ts";
import { flip, framePart, framesOf, inFrame } from "./wal-files.ts";

export interface CrashedStore extends Disposable {
  where: Place;
  file: string;
  /** Data keys that are in the log alone, by tenant. */
  late: Readonly<Record<string, string>>;
  /** Every byte of database and log. */
  bytes(): Buffer[];
  /** The store in a directory of its own, as it is now. */
  copy(): CrashedStore;
  /** A copy that was changed through SQLite, as a crash leaves it then. */
  changed(change: (db: DatabaseSync) => void): CrashedStore;
}

const lateTenants = ["late-1", "late-2", "late-3", "late-4"];

/** It goes with all its copies when it is disposed of. */
export async function crashedStore(): Promise<CrashedStore> {
  const root = mkdtempSync(join(tmpdir(), "fluo-kms-crashed-"));
  const origin = newPlace(root);
  await inStore(origin, async ({ keyring }) => {
    for (const tenant of ["early-1", "early-2"]) await keyring.activeDataKey(tenant);
  });
  const late: Record<string, string> = {};
  const left = await inStore(origin, async ({ keyring }) => {
    for (const tenant of lateTenants) late[tenant] = (await keyring.activeDataKey(tenant)).keyId;
    return copyOf(origin, root);
  });
  return crashed(left, { root, late });
}

function crashed(where: Place, { root, late }: { root: string; late: CrashedStore["late"] }): CrashedStore {
  const file = fileOf(where);
  const bytes = () => ["", "-wal"].map((end) => readFileSync(file + end));
  const copy = () => crashed(copyOf(where, root), { root, late });
  return {
    where,
    file,
    late,
    bytes,
    copy,
    changed(change) {
      const store = copy();
      const db = new DatabaseSync(store.file);
      change(db);
      const [database, log] = store.bytes();
      db.close();
      writeFileSync(store.file, database!);
      writeFileSync(`${store.file}-wal`, log!);
      return store;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

let places = 0;
function newPlace(root: string): Place {
  places += 1;
  const path = join(root, `${places}`);
  mkdirSync(path);
  return place(path, { name: "sqlite", file: join(path, "kms.db") });
}

function copyOf(where: Place, root: string): Place {
  const to = newPlace(root);
  const [from, file] = [fileOf(where), fileOf(to)];
  for (const end of ["", "-wal", "-heads"]) if (existsSync(from + end)) copyFileSync(from + end, file + end);
  copyFileSync(where.masterKeyFile, to.masterKeyFile);
  return to;
}

function fileOf({ settings }: Place): string {
  if (settings.name !== "sqlite") throw new Error("not a SQLite store");
  return settings.file;
}

/** One bit of a frame in the middle, with commits behind it that were durable. */
export function damageLog(file: string): void {
  const { commits } = framesOf(file);
  flip(`${file}-wal`, inFrame(commits[Math.floor(commits.length / 2)]!, 200));
}

/** One bit of the last commit, which nothing follows that would prove that it was durable. */
export function damageEnd(file: string): void {
  flip(`${file}-wal`, inFrame(framesOf(file).commits.at(-1)!, framePart.page));
}

/** A heads file beside the store, as far as it can be read without the store's key. */
export function note(file: string, commits: unknown, { end = "-heads", generation = 1 } = {}): void {
  writeFileSync(`${file}${end}`, JSON.stringify({ format: "fluo-kms/heads/v1", generation, commits }));
}
