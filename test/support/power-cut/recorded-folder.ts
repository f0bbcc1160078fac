/** A folder on a disk that loses, whenever its power is cut, what the process that writes there had not synced. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledLibrary } from "../preloaded-library.ts";
import { newDisk } from "./disk.ts";
import { readRecords } from "./records.ts";

export interface RecordedFolder extends Disposable {
  path: string;
  /** Variables for the environment of the one process that is to write there next, until the power is cut. */
  env(): Record<string, string>;
  /** Leaves in the folder what a power cut leaves. To be called once the process has ended. Gives how many writes were not synced. */
  cut(random: () => number): { unsynced: number };
  /** What the folder has now is on the disk: something else than that process wrote there, while it did not run. */
  keep(): void;
}

/** The folder is empty. Where libraries can be preloaded. */
export function recordedFolder(): RecordedFolder {
  const own = mkdtempSync(join(tmpdir(), "fluo-kms-disk-"));
  const library = compiledLibrary(join(import.meta.dirname, "record-writes.c"), own);
  const [path, records, next] = ["disk", "records", "next"].map((name) => join(own, name)) as [string, string, string];
  mkdirSync(path);
  let disk = newDisk(path);

  return {
    path,
    env() {
      disk = newDisk(path); // the test itself may have written there since the last cut
      return { LD_PRELOAD: library, WRITES_OF: path, WRITES_TO: records };
    },
    cut(random) {
      for (const record of readRecords(records)) disk.apply(record);
      rmSync(records, { force: true });
      mkdirSync(next);
      const { unsynced } = disk.cut(next, random);
      for (const name of readdirSync(path)) rmSync(join(path, name));
      for (const name of readdirSync(next)) renameSync(join(next, name), join(path, name));
      rmSync(next, { recursive: true });
      disk = newDisk(path);
      return { unsynced };
    },
    keep() {
      disk = newDisk(path);
    },
    [Symbol.dispose]: () => rmSync(own, { recursive: true, force: true }),
  };
}
