/** Which losses of a state no service could have noticed, as nothing that is left in the files tells of them. */
import type { Loss } from "../flips/known.ts";
import { bytesOf, type Files, headsNames, isSame, names } from "./files.ts";
import { type ReadLog, readLog } from "./log-reader.ts";
import { newestHeads } from "./made-stores.ts";
import type { State } from "./state.ts";

export interface Excuse {
  /** Why nothing tells of what `isExcused` allows. */
  reason: string;
  /** Whether a service may lose something of this tenant, or of all if it is empty, without a word. */
  isExcused(tenantId: Loss["tenantId"]): boolean;
}

const inexcusable: Excuse = { reason: "the log proves it", isExcused: () => false };

export function excuseOf(state: State): Excuse {
  const { files, store } = state;
  if (isOther(state)) return { reason: "log and heads file are another store's, in whole", isExcused: () => true };
  if (isNew(state)) return { reason: "nothing is left of the store", isExcused: () => true };
  const log = readLog(bytesOf(files, names.log) ?? Buffer.alloc(0));
  // A database has pages before its log is used a second time, which is when frames have other salts than the header.
  if (log.proof > 0 || (isEmpty(files, names.database) && log.commits > 0)) return inexcusable;
  const noted = notedAge(state);
  const heads = noted < 0 ? "no heads file of the store is whole" : "the heads file is an older one";
  const ageOf = (tenantId: string) =>
    store.known.find(({ known }) => known.tenantId === tenantId)?.age ?? store.ages.length - 1;
  return { reason: `${heads}, and ${endOf(log)}`, isExcused: (tenantId) => ageOf(tenantId) > noted };
}

function endOf({ frames, isHeaderWhole, isHeaderOfOther, lastCommit }: ReadLog): string {
  if (frames === 0) return "there is no log";
  if (!isHeaderWhole) return "the header of the log is damaged, and no commit is followed by another";
  if (isHeaderOfOther) return "no frame of the log has the salts of its header";
  if (lastCommit === frames) return "the log ends with a commit";
  return "no commit is behind the damage of the log, or nothing follows it";
}

/** The log of a store that was never checkpointed is all of it: beside its own heads file it is that store. */
function isOther({ files, store: { other } }: State): boolean {
  const isThere = (name: string, from: string) => isSame(bytesOf(files, name), bytesOf(other, from));
  return isThere(names.log, names.log) && headsNames.some((name) => isThere(name, name));
}

/** An empty database without log and heads is that of a new store. */
function isNew({ files }: State): boolean {
  return (
    [names.database, names.log].every((name) => isEmpty(files, name)) && headsNames.every((name) => !files.has(name))
  );
}

function isEmpty(files: Files, name: string): boolean {
  return (files.get(name)?.length ?? 0) === 0;
}

/** The newest age whose heads file is there in whole; -1 if none is. */
function notedAge({ files, store }: State): number {
  const left = headsNames.map((name) => bytesOf(files, name));
  return store.ages.findLastIndex((age) => {
    const heads = newestHeads(age);
    return heads !== undefined && left.some((bytes) => isSame(bytes, heads));
  });
}
