/**
 * Holds the data directory while a service runs: makes it at the first start, for its owner alone and kept out of Git, refuses a directory that is not
 * ours, and lets one process at a time serve from it.
 */
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { type DataDirectory, fileNames, isDataDirectory } from "./layout.ts";
import { createFile, makeDirectory, sizeOf, syncDirectory } from "../sqlite/file.ts";
import { takeLock } from "../sqlite/hold.ts";

const { mark, gitignore, lock: lockName, holder: holderName } = fileNames;
const markText =
  "The keys of a fluo-kms service. Back up the whole directory: without master.key nothing in it can be read.\n";
const allOfIt = "*\n";
const ownerOnly = { mode: 0o600 };
/** Two starts at the same time keep each other from the lock for a moment, and one of them gets it. */
const lockMs = 500;

export interface HeldDirectory {
  /** Whether this start makes the first keys in it. */
  readonly isNew: boolean;
  close(): void;
}

/** Holds the data directory of a service that has one, and logs where keys are. Without one, no first store is expected. */
export function startDirectory(settings: DataDirectory | undefined, log: { info(line: string): void }): HeldDirectory {
  if (settings === undefined) return { isNew: false, close() {} };
  const held = holdDirectory(settings);
  log.info(`keys are kept in ${settings.directory}${held.isNew ? ", from this first start on" : ""}`);
  return held;
}

/**
 * Makes all but the master key, which the provider makes, and holds the directory until it is closed. STORE_UNAVAILABLE if it is not ours to use, or
 * half of what was in it is gone.
 */
export function holdDirectory({ directory, database, masterKey }: DataDirectory): HeldDirectory {
  try {
    prepare(directory);
    const held = hold(directory);
    step("directory.held");
    try {
      const isNew = !existsSync(masterKey);
      refuseHalf({ directory, database, masterKey });
      createFile(database); // before the master key, which is never without it
      step("directory.named");
      return { isNew, ...held };
    } catch (error) {
      held.close();
      throw error;
    }
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (cause instanceof KmsError || syscall === undefined) throw cause;
    throw new KmsError("STORE_UNAVAILABLE", `the data directory ${directory} cannot be used (${code})`, {
      cause,
      advice:
        code === "ENOSPC" || code === "EDQUOT"
          ? "make room on its disk"
          : "set fluo.kms.data-directory to a volume that the service may write to, or fluo.kms.store=memory for keys that end with the process",
    });
  }
}

/** The mark is last, so that what has it is whole. A start that is killed on the way is gone on with by the next. */
function prepare(directory: string): void {
  if (!isDataDirectory(directory)) {
    makeDirectory(directory);
    step("directory.made");
    // Another start may have made the mark meanwhile, and more after it.
    if (readdirSync(directory).some((name) => !maybeUnmarked(directory, name)) && !isDataDirectory(directory)) {
      throw new KmsError("STORE_UNAVAILABLE", `${directory} is not a data directory of fluo-kms: it has no ${mark}`, {
        advice: "move it away, or set fluo.kms.data-directory to a directory for this service alone",
      });
    }
    writeFileSync(join(directory, gitignore), allOfIt, { ...ownerOnly, flush: true });
    syncDirectory(directory);
    step("directory.ignored");
    writeFileSync(join(directory, mark), markText, { ...ownerOnly, flush: true });
    syncDirectory(directory);
    step("directory.marked");
  }
  accessSync(directory, constants.W_OK);
}

/** Whether a directory that has no mark yet may have the file: a start makes it before the mark, or ext4 does. */
function maybeUnmarked(directory: string, name: string): boolean {
  if (name === gitignore) return allOfIt.startsWith(readFileSync(join(directory, name), "utf8"));
  return name === mark || name === "lost+found";
}

/** Nothing new is made in place of what was there: keys would be lost without a word. */
function refuseHalf({ directory, database, masterKey }: DataDirectory): void {
  const [hasStore, hasKey] = [existsSync(database), existsSync(masterKey)];
  if (hasKey && !hasStore) {
    throw new KmsError("STORE_UNAVAILABLE", `${database} is missing, which has the keys of ${directory}`, {
      advice: `put it back, or a backup by fluo-kms restore; to begin anew, move ${directory} away`,
    });
  }
  if (!hasKey && sizeOf(database) > 0) {
    throw new KmsError("STORE_UNAVAILABLE", `${masterKey} is missing, which opens the keys in ${database}`, {
      advice: `put it back; to begin anew, move ${directory} away`,
    });
  }
}

/** By a lock on an SQLite file, as Node has no flock: it ends with its process, however that ends. */
function hold(directory: string): { close(): void } {
  const holder = join(directory, holderName);
  const lock = takeLock(join(directory, lockName), lockMs);
  if (lock === undefined) {
    throw new KmsError("STORE_UNAVAILABLE", `${holderIn(holder)} serves from ${directory}`, {
      advice: "stop it, or set fluo.kms.data-directory to another directory for this one",
    });
  }
  const close = () => {
    if (!lock.isOpen) return;
    rmSync(holder, { force: true });
    lock.close();
  };
  try {
    rmSync(holder, { force: true }); // of a process that has ended
    writeFileSync(holder, `${process.pid} ${hostname()}\n`, ownerOnly);
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** Its process id counts on its own machine alone. */
function holderIn(file: string): string {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {} // not written yet, or removed by now
  const [, pid, host] = /^(\d+) (\S+)\n$/.exec(text) ?? [];
  if (pid === undefined) return "another process";
  return host === hostname() ? `process ${pid}` : `process ${pid} of ${host}`;
}
