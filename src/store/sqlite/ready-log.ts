/**
 * Readies a write-ahead log before SQLite opens it, or refuses it. A refusal leaves every byte of database and log as it was, and a copy of the log
 * beside them: another tool that opens the store may delete the log.
 */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Time } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import { copyDurably, refuseSpecial, sizeOf, syncDirectory } from "./file.ts";
import { type Hold, holdDatabase, lockPaths } from "./hold.ts";
import { acceptancePath, begunAcceptance } from "./wal/begun-acceptance.ts";
import { readNotedCommits } from "./wal/noted-commits.ts";
import { commitsIfUsed, commitsWithoutLog, storedCommits } from "./stored-commits.ts";
import { logDigest } from "./wal/log-digest.ts";
import { judgeWal, type WalVerdict } from "./wal/verdict.ts";

/** Result of examining the log of a database that was then opened. */
export interface LogExamination {
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
  log: LogExamination;
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
  refuseSpecialFiles(ready.file);
  let log: LogExamination = { verdict: "in use", text: "in use, so it was not read", isWarning: false };
  const hold = holdDatabase(ready.file, () => {
    log = readyLog(ready, time);
  });
  return { ...hold, log };
}

/** Refuses what is no file in the place of any file that is opened with a database. */
export function refuseSpecialFiles(file: string): void {
  const ofSqlite = ["", "-wal", "-shm", "-journal"].map((end) => file + end);
  for (const path of [...ofSqlite, acceptancePath(file), ...lockPaths(file)]) refuseSpecial(path);
}

export const wholeLog: LogExamination = {
  verdict: "whole",
  text: "whole: all that was committed is read",
  isWarning: false,
};

/** The answer for a log of which no lock can be made. A connection that only reads changes nothing of it, and does not see what it lost. */
export const unreadLog: LogExamination = {
  verdict: "unread",
  text: "not examined for damage, because its directory cannot be written to: run this as the service's user",
  isWarning: true,
};

interface ExaminedLog {
  /** The error that opening the database would throw. */
  problem: KmsError | undefined;
  verdict: WalVerdict;
  /** Commits of the store beside those that were noted, if both are needed. */
  commits?: LogExamination["commits"];
}

/** Examines the log of a database that no process has open. Nothing is changed. */
export function examineLog(ready: ReadyFile): ExaminedLog {
  const { file } = ready;
  const verdict = judgeWal(file);
  const begun = unended(file);
  if (begun !== undefined) return { problem: begun, verdict };
  switch (verdict.kind) {
    case "orphaned":
      return { problem: orphaned(file, verdict), verdict };
    case "lost":
      return { problem: lost(file, verdict), verdict };
    case "settled": {
      // A damaged commit mark may hide one more commit, which the database does not have.
      const commits = comparedCommits(ready, commitsWithoutLog);
      return { problem: behind(file, commits), verdict, commits };
    }
    case "undecided": {
      const commits = commitsLeft(ready, verdict);
      return { problem: mixed(file) ?? behind(file, commits), verdict, commits };
    }
    case "whole":
      return { problem: mixed(file), verdict };
  }
}

function readyLog(ready: ReadyFile, time: Time): LogExamination {
  const { file } = ready;
  // A database without a page is a new one: what was begun was so for one that had its name.
  if (statSync(file, { throwIfNoEntry: false })?.size === 0) rmSync(acceptancePath(file), { force: true });
  const { problem, verdict, commits } = examineLog(ready);
  if (problem !== undefined) throw problem;
  if (verdict.kind === "settled") return setAside(file, verdict, time);
  return verdict.kind === "undecided" ? undecided(file, verdict, commits) : wholeLog;
}

function setAside(
  file: string,
  { firstDamaged }: Extract<WalVerdict, { kind: "settled" }>,
  time: Time,
): LogExamination {
  const stamp = time.now().toISOString().replaceAll(/[-:.]/g, "");
  const aside = `${file}-wal.${stamp}`;
  renameSync(`${file}-wal`, aside);
  syncDirectory(dirname(file));
  const text = `damaged ${placeOf(firstDamaged)}, and all that it held is in the database: nothing is lost, and it was set aside as ${aside}`;
  return { verdict: "settled", text, isWarning: true, firstDamaged, setAside: aside };
}

type Undecided = Extract<WalVerdict, { kind: "undecided" }>;

/** A restore that was killed leaves a store that nothing was committed to, beside the heads file of the store before. */
function commitsLeft(ready: ReadyFile, { holdsMark }: Undecided): LogExamination["commits"] {
  return comparedCommits(ready, holdsMark ? storedCommits : commitsIfUsed);
}

function undecided(
  file: string,
  { lastCommit, isHeaderDamaged }: Undecided,
  commits: LogExamination["commits"],
): LogExamination {
  const tail = isHeaderDamaged
    ? `damaged in its header, so that SQLite reads none of it; ${keptLog(file, logDigest(file))}`
    : `what follows frame ${lastCommit} is no whole commit, as a crash leaves it, and is not read`;
  const because =
    commits === undefined
      ? "no heads file says whether it was one"
      : `the store has ${commits.stored} commits, and ${commits.noted} were noted as durable`;
  return {
    verdict: "undecided",
    text: `${tail}; ${because}`,
    isWarning: isHeaderDamaged,
    lastCommit,
    ...(commits && { commits }),
  };
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
  if (sizeOf(`${file}-wal`) === 0) return undefined;
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
): LogExamination["commits"] {
  const noted = readNotedCommits(headsFile);
  const stored = noted === undefined ? undefined : commitsOf(file);
  return noted === undefined || stored === undefined ? undefined : { stored, noted };
}

function behind(file: string, commits: LogExamination["commits"]): KmsError | undefined {
  if (commits === undefined || commits.stored >= commits.noted) return undefined;
  const { stored, noted } = commits;
  return refusal(
    "ROLLBACK_SUSPECTED",
    file,
    `the write-ahead log ${file}-wal is damaged at its end: ${stored} commits can be read, and ${noted} were durable`,
    { log: "behind", stored: `${stored}`, noted: `${noted}` },
  );
}

function orphaned(file: string, { commits }: Extract<WalVerdict, { kind: "orphaned" }>): KmsError {
  return refusal(
    "DATA_LOSS",
    file,
    `the database ${file} is empty or gone, or begins with other bytes than a database, and its write-ahead log holds ${commits} commits`,
    { log: "orphaned", commits: `${commits}` },
  );
}

function lost(file: string, { firstDamaged, commit }: Extract<WalVerdict, { kind: "lost" }>): KmsError {
  return refusal(
    "DATA_LOSS",
    file,
    `the write-ahead log ${file}-wal is damaged ${placeOf(firstDamaged)}, before a commit at frame ${commit} that was durable`,
    { log: "lost", first_damaged: `${firstDamaged}`, commit: `${commit}` },
  );
}

function placeOf(firstDamaged: number): string {
  return firstDamaged === 0 ? "in its header" : `at frame ${firstDamaged}`;
}

/** The digest names this damage and no other, for whoever accepts it. */
function refusal(
  code: "DATA_LOSS" | "ROLLBACK_SUSPECTED",
  file: string,
  found: string,
  metadata: Record<string, string>,
): KmsError {
  const digest = logDigest(file);
  const otherwise =
    metadata.log === "orphaned"
      ? ""
      : `, or try to go on without the end of the log: fluo-kms accept-rollback ${digest}`;
  const whatToDo = `nothing was opened or changed, and ${keptLog(file, digest)}; keep both files, and restore the store from a backup${otherwise}`;
  return new KmsError(code, `${found}: ${whatToDo}`, { metadata: { ...metadata, digest } });
}

/** Copies the log aside, once for each damage, and says where; or why it could not. */
function keptLog(file: string, digest: string): string {
  const kept = `${file}-wal.kept-${digest.slice(0, 16)}`;
  try {
    if (!existsSync(kept)) copyDurably(`${file}-wal`, kept);
    return `the log is kept as ${kept}`;
  } catch (error) {
    return `the log could not be copied aside (${(error as NodeJS.ErrnoException).code}), so copy it before anything else`;
  }
}
