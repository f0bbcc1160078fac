/** Compares heads files with the tables of a store: what a backup lacks, and whether a store was put back. */
import type { KeyObject } from "node:crypto";
import type { Config } from "../../config/config.ts";
import { hasCode } from "../../errors.ts";
import { lostOf } from "../../store/heads/finding.ts";
import { readHeads } from "../../store/heads/generations.ts";
import { headsKey } from "../../store/heads/format.ts";
import { refuseBehind } from "../../store/heads/judge.ts";
import { placeOf } from "../../store/heads/place.ts";
import type { Tables } from "../../store/offline/tables.ts";
import { UsageError } from "../command.ts";

export interface NotedElsewhere {
  /** SHA-256 of each heads file. */
  sha256s: string[];
  /** Lines on what they noted and the store does not have. */
  lost: string[];
}

/** Reads the heads file of the store that the settings name, if there is one, and those in `files`. UsageError if one of these is not there. */
export async function notedElsewhere(
  tables: Tables,
  { key, config, files }: { key: KeyObject; config: Pick<Config, "store" | "heads">; files: readonly string[] },
): Promise<NotedElsewhere> {
  const own = placeOf(config.store, config.heads)?.file;
  const found: NotedElsewhere = { sha256s: [], lost: [] };
  for (const file of new Set([...(own === undefined ? [] : [own]), ...files])) {
    const { sha256, content } = await readHeads(file, headsKey(key));
    if (sha256 === undefined && files.includes(file)) throw new UsageError(`there is no heads file ${file}`);
    if (sha256 === undefined) continue;
    found.sha256s.push(sha256);
    if (content === undefined) found.lost.push(`unknown: ${file} is damaged, or is another store's`);
    // A backup has no count of commits.
    else found.lost.push(...lostOf({ ...content, counted: undefined }, await tables.heads(key).standing(content)));
  }
  return { sha256s: [...new Set(found.sha256s)], lost: [...new Set(found.lost)] };
}

export interface HeadsProblem {
  kind: "rollback" | "heads";
  what: string;
}

/** What would have a start of the service refused; undefined if it would find nothing. */
export async function headsProblem(
  tables: Tables,
  key: KeyObject,
  config: Pick<Config, "store" | "heads">,
): Promise<HeadsProblem | undefined> {
  try {
    await refuseBehind(tables.heads(key), key, placeOf(config.store, config.heads));
    return undefined;
  } catch (error) {
    if (hasCode(error, "HEADS_MISSING", "ROLLBACK_SUSPECTED", "STORE_UNAVAILABLE"))
      return { kind: "rollback", what: error.message };
    if (!hasCode(error, "DATA_LOSS")) throw error;
    return { kind: "heads", what: "the count of commits was altered: restore the store from a backup" };
  }
}
