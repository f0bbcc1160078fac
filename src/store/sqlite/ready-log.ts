/** What is done about a log before SQLite opens it. A refusal leaves every byte as it was. */
import { renameSync } from "node:fs";
import { KmsError } from "../../errors.ts";
import { type Hold, holdDatabase } from "./hold.ts";
import { judgeWal } from "./wal/wal-verdict.ts";

/** Holds a database that is to be opened, its log in order. DATA_LOSS if SQLite would drop commits that were durable. */
export function holdReady(file: string): Hold {
  return holdDatabase(file, () => readyWal(file));
}

function readyWal(file: string): void {
  const verdict = judgeWal(file);
  if (verdict.kind === "settled") {
    const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
    renameSync(`${file}-wal`, `${file}-wal.${time}`);
  }
  if (verdict.kind === "lost") {
    throw new KmsError(
      "DATA_LOSS",
      `the write-ahead log ${file}-wal is damaged at frame ${verdict.firstDamaged}, before commits that were durable: nothing was opened or changed; ` +
        "keep both files and restore the store from a backup",
    );
  }
}
