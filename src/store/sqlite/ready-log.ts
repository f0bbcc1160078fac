/** What is done about a log before SQLite opens it. A refusal leaves every byte of the database and its log as it was. */
import { renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Time } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import { syncDirectory } from "./file.ts";
import { type Hold, holdDatabase } from "./hold.ts";
import { acceptancePath, begunAcceptance } from "./wal/begun-acceptance.ts";
import { readNotedCommits } from "./wal/noted-commits.ts";
import { commitsIfUsed, commitsWithoutLog, storedCommits } from "./stored-commits.ts";
import { logDigest } from "./wal/log-digest.ts";
import { judgeWal, type WalVerdict } from "./wal/wal-verdict.ts";

/** What was seen in the log of a database that was then opened. */
export interface SeenLog {
  verdict: "whole" | "settled" | "undecided" | "in use" | "unread";
  /** What that means, in a sentence. */
  text: string;
  /** Whether an operator should hear of it. */
  isWarning: boolean;
  /** The first frame of the log that does not verify. */
  firstDamaged?: number;
  /** Path of a log that was set aside. */
  setAside?: string;
  /** The last frame that is read. */
  lastCommit?: number;
  /** Commits that the store has, and that were noted as durable outside of it. */
  commits?: { stored: number; noted: number };
}

export interface ReadyHold extends Hold {
  log: SeenLog;
}

/** The database, and where its commits are noted. */
export interface ReadyFile {
  file: string;
  /** The heads file. Beside the database unless it is elsewhere. */
  headsFile?: string | undefined;
}

/**
 * Holds a database that is to be opened, its log in order. DATA_LOSS if SQLite would drop commits that were durable, ROLLBACK_SUSPECTED if it
 * would be behind what was noted.
 */
export function holdReady(ready: ReadyFile, time: Time): ReadyHold {
  let log: SeenLog = { verdict: "in use", text: "in use, so it was not read", isWarning: false };
  const hold = holdDatabase(ready.file, () => {
    log = readyLog(ready, time);
  });
  return { ...hold, log };
}

export const wholeLog: SeenLog = {
  verdict: "whole",
  text: "whole: all that was committed is read",
  isWarning: false,
};

/** The answer for a log of which no lock can be made. A connection that only reads changes nothing of it, and does not see what it lost. */
export const unreadLog: SeenLog = {
  verdict: "unread",
  text: "not examined for damage, because its directory cannot be written to: run this as the service's user",
  isWarning: true,
};

/** The error that opening a database would throw while no process has it open; undefined if none. Nothing is changed. */
export function logProblem(ready: ReadyFile): KmsError | undefined {
  const { file } = ready;
  const begun = unended(file);
  if (begun !== undefined) return begun;
  const verdict = judgeWal(file);
  if (verdict.kind === "lost") return lost(file, verdict);
  if (verdict.kind === "settled") return behind(file, comparedCommits(ready, commitsWithoutLog));
  return mixed(file) ?? (verdict.kind === "undecided" ? behind(file, commitsLeft(ready, verdict)) : undefined);
}

function readyLog(ready: ReadyFile, time: Time): SeenLog {
  const { file } = ready;
  // A database without a page is a new one: what was begun was so for one that had its name.
  if (statSync(file, { throwIfNoEntry: false })?.size === 0) rmSync(acceptancePath(file), { force: true });
  refuse(unended(file));
  const verdict = judgeWal(file);
  switch (verdict.kind) {
    case "whole":
      refuse(mixed(file));
      return wholeLog;
    case "settled":
      return settled(ready, verdict, time);
    case "lost":
      throw lost(file, verdict);
    case "undecided":
      refuse(mixed(file));
      return undecided(ready, verdict);
  }
}

/** Compares with the noted commits too: a damaged commit mark may hide one more commit, which the database does not have. */
function settled(ready: ReadyFile, { firstDamaged }: Extract<WalVerdict, { kind: "settled" }>, time: Time): SeenLog {
  const { file } = ready;
  refuse(behind(file, comparedCommits(ready, commitsWithoutLog)));
  const stamp = time.now().toISOString().replaceAll(/[-:.]/g, "");
  const setAside = `${file}-wal.${stamp}`;
  renameSync(`${file}-wal`, setAside);
  syncDirectory(dirname(file));
  const text = `damaged at frame ${firstDamaged}, and all that it held is in the database: nothing is lost, and it was set aside as ${setAside}`;
  return { verdict: "settled", text, isWarning: true, firstDamaged, setAside };
}

type Undecided = Extract<WalVerdict, { kind: "undecided" }>;

/** A restore that was killed leaves a store that nothing was committed to, beside the heads file of the store before. */
function commitsLeft(ready: ReadyFile, { holdsMark }: Undecided): SeenLog["commits"] {
  return comparedCommits(ready, holdsMark ? storedCommits : commitsIfUsed);
}

function undecided(ready: ReadyFile, verdict: Undecided): SeenLog {
  const { lastCommit } = verdict;
  const commits = commitsLeft(ready, verdict);
  refuse(behind(ready.file, commits));
  const tail = `what follows frame ${lastCommit} is no whole commit, as a crash leaves it, and is not read`;
  const because =
    commits === undefined
      ? "no heads file says whether it was one"
      : `the store has ${commits.stored} commits, and ${commits.noted} were noted as durable`;
  return {
    verdict: "undecided",
    text: `${tail}; ${because}`,
    isWarning: false,
    lastCommit,
    ...(commits && { commits }),
  };
}

function refuse(problem: KmsError | undefined): void {
  if (problem !== undefined) throw problem;
}

/** The end of the log may be dropped already, so its own damage says nothing. */
function unended(file: string): KmsError | undefined {
  const begun = begunAcceptance(file);
  if (begun === undefined) return undefined;
  const { digest } = begun;
  const whatToDo =
    digest === ""
      ? "restore the store from a backup"
      : `end it by fluo-kms accept-rollback ${digest}, or restore the store from a backup`;
  const message = `the loss of a part of ${file}-wal was being accepted, and ${acceptancePath(file)} says that this has not ended: ${whatToDo}`;
  return new KmsError("DATA_LOSS", message, { metadata: { log: "accepting", digest } });
}

/** A log that was cut short ends before what was moved into the database: it would be a mixture of two states. */
function mixed(file: string): KmsError | undefined {
  if ((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  const [alone, withLog] = [commitsWithoutLog(file), storedCommits(file)];
  if (alone === undefined || withLog === undefined || alone <= withLog) return undefined;
  return refusal(
    "DATA_LOSS",
    file,
    `the write-ahead log ${file}-wal ends before what the database has of it: ${withLog} commits can be read, and the database alone has ${alone}`,
    { log: "mixed", stored: `${withLog}`, database: `${alone}` },
  );
}

function comparedCommits(
  { file, headsFile = `${file}-heads` }: ReadyFile,
  commitsOf: (file: string) => number | undefined,
): SeenLog["commits"] {
  const noted = readNotedCommits(headsFile);
  const stored = noted === undefined ? undefined : commitsOf(file);
  return noted === undefined || stored === undefined ? undefined : { stored, noted };
}

function behind(file: string, commits: SeenLog["commits"]): KmsError | undefined {
  if (commits === undefined || commits.stored >= commits.noted) return undefined;
  const { stored, noted } = commits;
  return refusal(
    "ROLLBACK_SUSPECTED",
    file,
    `the write-ahead log ${file}-wal is damaged at its end: ${stored} commits can be read, and ${noted} were durable`,
    { log: "behind", stored: `${stored}`, noted: `${noted}` },
  );
}

function lost(file: string, { firstDamaged, commit }: Extract<WalVerdict, { kind: "lost" }>): KmsError {
  return refusal(
    "DATA_LOSS",
    file,
    `the write-ahead log ${file}-wal is damaged at frame ${firstDamaged}, before a commit at frame ${commit} that was durable`,
    { log: "lost", first_damaged: `${firstDamaged}`, commit: `${commit}` },
  );
}

/** The digest names this damage and no other, for whoever accepts it. */
function refusal(
  code: "DATA_LOSS" | "ROLLBACK_SUSPECTED",
  file: string,
  found: string,
  metadata: Record<string, string>,
): KmsError {
  const digest = logDigest(file);
  const whatToDo = `nothing was opened or changed; keep both files, and restore the store from a backup, or try to go on without the end of the log: fluo-kms accept-rollback ${digest}`;
  return new KmsError(code, `${found}: ${whatToDo}`, { metadata: { ...metadata, digest } });
}
