/** How many commits of a SQLite store are noted as durable outside of it, before anything of the store is opened. */
import { readFileSync, statSync } from "node:fs";

/** Anything longer is no heads file. */
const maxBytes = 4 * 1024 * 1024;
const format = "fluo-kms/heads/v1";

/**
 * What the newer of a heads file's two generations says, which nobody has authenticated yet. Undefined if there is none that can be read: it is
 * judged once the store is unlocked.
 */
export function readNotedCommits(headsFile: string): number | undefined {
  const read = [headsFile, `${headsFile}.1`].map(generation).filter((each) => each !== undefined);
  return read.sort((a, b) => b.generation - a.generation)[0]?.commits;
}

function generation(path: string): { generation: number; commits: number } | undefined {
  try {
    if (statSync(path).size > maxBytes) return undefined;
    const read = JSON.parse(readFileSync(path, "utf8"));
    const isWhole = [read.generation, read.commits].every((each) => Number.isSafeInteger(each) && each >= 0);
    return read.format === format && isWhole ? { generation: read.generation, commits: read.commits } : undefined;
  } catch {
    return undefined;
  }
}
