/** Whether the bytes of destroyed keys are gone from SQLite's files. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { hungMs } from "../support/hung.ts";
import type { Checker } from "./check.ts";

export interface Erasure {
  /** To be called while no service runs: what is wrapped now, and will be destroyed. */
  note(): void;
  /** To be called while a service runs that destroyed what was due. */
  check(checker: Checker): Promise<void>;
}

const suffixes = ["", "-wal"];

export function erasureOf(file: string): Erasure {
  const wrapped = new Map<string, Uint8Array>();

  /** In which of the files, and where. */
  function found(bytes: Uint8Array): string | undefined {
    for (const suffix of suffixes) {
      const at = existsSync(file + suffix) ? readFileSync(file + suffix).indexOf(bytes) : -1;
      if (at >= 0) return `${suffix || "database"} at ${at}`;
    }
    return undefined;
  }

  return {
    note() {
      wrapped.clear(); // what was not destroyed may be wrapped anew by now
      for (const [keyId, bytes] of scheduledIn(file)) wrapped.set(keyId, bytes);
    },

    async check({ model, hold }) {
      const until = performance.now() + hungMs;
      for (const [keyId, bytes] of wrapped) {
        if (model.now(keyId)[0]?.state !== "DESTROYED") continue;
        let place = found(bytes);
        while (place !== undefined && performance.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          place = found(bytes);
        }
        hold(place === undefined, () => `key ${keyId} is destroyed, and what was wrapped is still there: ${place}`);
        wrapped.delete(keyId);
      }
    },
  };
}

/** Read from a copy: whoever opens the file itself changes what the service finds after its crash. */
function scheduledIn(file: string): [keyId: string, wrapped: Uint8Array][] {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-copy-"));
  const copy = join(dir, "copy.db");
  try {
    for (const suffix of suffixes) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
    const db = new DatabaseSync(copy);
    const rows = db.prepare("select key_id, wrapped from kms_keys where state = 'DESTROY_SCHEDULED'").all();
    db.close();
    return rows.map((row) => [String(row.key_id), row.wrapped as Uint8Array]);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
