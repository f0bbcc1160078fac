import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { writeBackup } from "../../src/store/offline/backup-file.ts";
import { newestSchema } from "../../src/store/sql/rows/schema.ts";
import { prepareSchema } from "../../src/store/sql/upgrade/migration.ts";
import { embeddedDatabase, sqliteDialect } from "../../src/store/sqlite/embedded.ts";
import { realTime } from "../../src/runtime/time.ts";

it.each([newestSchema, newestSchema - 3])(
  "a backup is for the releases that its store is for: %i",
  async (minReader) => {
    const db = embeddedDatabase({ time: realTime, file: ":memory:", soon: queueMicrotask });
    await prepareSchema(db, sqliteDialect);
    await db.write(({ query }) => query("update kms_schema set min_reader = ?1", minReader));
    const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-backup-")), "b.db");
    await db.read((query) => writeBackup(query, file));
    const backup = new DatabaseSync(file, { readOnly: true });
    expect(backup.prepare("select * from kms_schema").all()).toEqual([
      { version: newestSchema, min_reader: minReader },
    ]);
    backup.close();
    await db.close();
  },
);
