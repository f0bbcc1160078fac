/**
 * How many commits of a SQLite store are noted as durable outside of it, before anything of the store is opened. What a heads file is called
 * and how it begins is here too, because store/sqlite does not import store/heads.
 */
import { readFileSync, statSync } from "node:fs";

export const headsFormat = "fluo-kms/heads/v1";
/** Several times what 1,000 members of each kind take: anything longer is no heads file. */
export const maxHeadsBytes = 4 * 1024 * 1024;

/** The paths of both generations of a heads file. */
export function generationsOf(headsFile: string): [string, string] {
  return [headsFile, `${headsFile}.1`];
}

/**
 * What the newer of a heads file's two generations says, which nobody has authenticated yet. Undefined if there is none that can be read: it is
 * judged once the store is unlocked.
 */
export function readNotedCommits(headsFile: string): number | undefined {
  const read = generationsOf(headsFile)
    .map(generation)
    .filter((each) => each !== undefined);
  return read.sort((a, b) => b.generation - a.generation)[0]?.commits;
}

function generation(path: string): { generation: number; commits: number } | undefined {
  try {
    const found = statSync(path);
    if (!found.isFile() || found.size > maxHeadsBytes) return undefined;
    const read = JSON.parse(readFileSync(path, "utf8"));
    const isWhole = [read.generation, read.commits].every((each) => Number.isSafeInteger(each) && each >= 0);
    return read.format === headsFormat && isWhole ? { generation: read.generation, commits: read.commits } : undefined;
  } catch {
    return undefined;
  }
}
