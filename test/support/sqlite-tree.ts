/** The bytes of a SQLite file that nobody has open, for tests that damage it: https://www.sqlite.org/fileformat2.html#b_tree_pages. */
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

export interface SqliteTree {
  /** The whole file. Its log is empty. */
  bytes: Buffer;
  pageBytes: number;
  /** Where the first page of the tree begins. */
  rootAt: number;
}

/** `name` is that of a table or of an index. */
export function treeOf(file: string, name: string): SqliteTree {
  const db = new DatabaseSync(file);
  const { rootpage } = db.prepare("select rootpage from sqlite_schema where name = ?").get(name) as {
    rootpage: number;
  };
  const { page_size: pageBytes } = db.prepare("pragma page_size").get() as { page_size: number };
  db.exec("pragma wal_checkpoint(truncate)");
  db.close();
  return { bytes: readFileSync(file), pageBytes, rootAt: (rootpage - 1) * pageBytes };
}
