/**
 * The data directory of a service that has no settings for its keys: for its owner alone, kept out of Git, marked as ours, so that no other directory is
 * taken for one, and of one process at a time.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { KmsError } from "../errors.ts";
import { syncDirectory } from "./sqlite/file.ts";
import { makeLockFile, takesAlone } from "./sqlite/hold.ts";

/** Tells a data directory from any other, whatever is in it. */
const mark = ".fluo-kms-data";
const markText =
  "The keys of a fluo-kms service. Back up the whole directory: without master.key nothing in it can be read.\n";
/** What may be in a directory that has no mark yet: what a start makes before it, and what ext4 makes. */
const beforeMark = [".gitignore", "lost+found"];
const ownerOnly = { mode: 0o600 };

export interface DataDirectory {
  /** Absolute. */
  readonly directory: string;
  readonly database: string;
  readonly masterKey: string;
}

export interface HeldDataDirectory {
  /** Whether a store is yet to be made in it. */
  readonly isNew: boolean;
  close(): void;
}

/** Makes what is missing but database and master key, and holds the directory until it is closed. STORE_UNAVAILABLE if it is not ours to use. */
export function openDataDirectory({ directory, database, masterKey }: DataDirectory): HeldDataDirectory {
  try {
    prepare(directory);
    const isNew = !existsSync(database);
    if (!isNew && !existsSync(masterKey)) {
      throw new KmsError("STORE_UNAVAILABLE", `${masterKey} is missing, which opens the keys in ${database}`, {
        advice: "put it back",
      });
    }
    return { isNew, ...hold(directory) };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof KmsError || !isSystemError(cause)) throw cause;
    throw new KmsError("STORE_UNAVAILABLE", `the data directory ${directory} cannot be used (${code})`, {
      cause,
      advice:
        "set fluo.kms.data-directory to a volume that the service may write to, or fluo.kms.store=memory for keys that end with the process",
    });
  }
}

export function isDataDirectory(directory: string): boolean {
  return existsSync(join(directory, mark));
}

/** The mark is last, so that what has it is whole. A start that is killed on the way is gone on with by the next. */
function prepare(directory: string): void {
  if (isDataDirectory(directory)) return;
  if (!existsSync(directory)) {
    mkdirSync(directory, { mode: 0o700, recursive: true });
    syncDirectory(dirname(directory));
  }
  const strange = readdirSync(directory).find((name) => !beforeMark.includes(name) && name !== mark);
  if (strange !== undefined) {
    throw new KmsError("STORE_UNAVAILABLE", `${directory} is not a data directory of fluo-kms: it has no ${mark}`, {
      advice: "move it away, or set fluo.kms.data-directory to a directory for this service alone",
    });
  }
  writeFileSync(join(directory, ".gitignore"), "*\n", { ...ownerOnly, flush: true });
  writeFileSync(join(directory, mark), markText, { ...ownerOnly, flush: true });
  syncDirectory(directory);
}

/** By a lock on an SQLite file, as Node has no flock: it ends with its process, however that ends. */
function hold(directory: string): { close(): void } {
  const [path, holder] = [join(directory, "serve.lock"), join(directory, "serve.pid")];
  makeLockFile(path);
  const lock = new DatabaseSync(path);
  if (!takesAlone(lock, 0)) {
    lock.close();
    throw new KmsError("STORE_UNAVAILABLE", `${holderIn(holder)} serves from ${directory}`, {
      advice: "stop it, or set fluo.kms.data-directory to another directory for this one",
    });
  }
  rmSync(holder, { force: true }); // of a process that has ended
  writeFileSync(holder, `${process.pid} ${hostname()}\n`, ownerOnly);
  return {
    close() {
      if (!lock.isOpen) return;
      rmSync(holder, { force: true });
      lock.close();
    },
  };
}

/** Its process id counts on its own machine alone. */
function holderIn(file: string): string {
  const [, pid, host] = /^(\d+) (\S+)\n$/.exec(existsSync(file) ? readFileSync(file, "utf8") : "") ?? [];
  if (pid === undefined) return "another process";
  return host === hostname() ? `process ${pid}` : `process ${pid} of ${host}`;
}

function isSystemError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined;
}
