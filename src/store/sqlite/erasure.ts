/**
 * Erasure of what transactions deleted: nothing of it may be left in the file or its log. A mark in the file's header, `user_version`, is
 * committed with such a transaction and says so until that is proven, also to the start after a crash.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Time } from "../../runtime/time.ts";
import { step } from "../../failpoints.ts";
import { isBusy } from "./error-codes.ts";
import { emptiesLog, type FileConnection, pageMs, pollMs, pragma } from "./file-connection.ts";
import { holdsAny } from "./residue.ts";

type ScrubbedFile = Pick<FileConnection, "open" | "alone" | "descriptor">;

export interface Erasure {
  /** Looks at the mark of a file that was just opened. */
  noticeMark(connection: DatabaseSync): void;
  /** A transaction erases, and `add` will say what. Gives the statement that leaves the mark, to be run in that transaction. */
  expect(): string;
  /** What an expected transaction deleted. */
  add(bytes: Uint8Array): void;
  /**
   * Leaves nothing of what was erased: moves all pages out of the log and empties it; and if the file still holds a copy, writes it anew
   * without. Where that is kept from it, this process's own readers are ended first. Another process that needs the old pages, or writes, is not
   * waited for: the next call tries again.
   */
  scrub(file: ScrubbedFile): void;
}

/** Whether erased bytes may still be somewhere in the file. */
const residue = { none: 0, due: 1 } as const;
/** Pause in which our own readers are not ended again: ending them did not help, so another process holds the pages. */
const peaceMs = 5_000;

export function createErasure(time: Time): Erasure {
  /** What is to be overwritten, and not proven to be yet. */
  let erased: Uint8Array[] = [];
  /** Transactions that erase and have not said what yet. One that was rolled back stays among them, at the price of a look too many. */
  let expected = 0;
  /** A crash left something to overwrite, and nobody knows what. */
  let isResidueUnknown = false;
  let peaceUntil = 0;

  /** Whether nothing is left. False if another connection has what is needed for that. */
  function isScrubbed(connection: DatabaseSync, descriptor: number | undefined): boolean {
    try {
      if (!emptiesLog(connection)) return false;
      if (!isResidueUnknown && descriptor !== undefined && !holdsAny(descriptor, erased)) return true;
      connection.exec("vacuum");
      return emptiesLog(connection);
    } catch (error) {
      if (isBusy(error)) return false;
      throw error;
    }
  }

  function isScrubbedAlone(connection: DatabaseSync, { alone, descriptor }: ScrubbedFile): boolean {
    if (time.monotonicMs() < peaceUntil) return false;
    return alone(() => {
      const isDone = isScrubbed(connection, descriptor());
      if (!isDone) peaceUntil = time.monotonicMs() + peaceMs;
      return isDone;
    });
  }

  return {
    noticeMark(connection) {
      if (pragma(connection, "user_version") === residue.due && erased.length === 0) isResidueUnknown = true;
    },

    expect() {
      expected += 1;
      return `pragma user_version = ${residue.due}`;
    },

    add(bytes) {
      expected -= 1;
      erased.push(bytes);
    },

    scrub(file) {
      if (erased.length === 0 && !isResidueUnknown) return;
      const connection = file.open();
      connection.exec(`pragma busy_timeout = ${pageMs}`);
      try {
        if (!isScrubbed(connection, file.descriptor()) && !isScrubbedAlone(connection, file)) return;
        erased = [];
        isResidueUnknown = false;
        if (expected === 0) connection.exec(`pragma user_version = ${residue.none}`);
        step("sqlite.scrubbed");
      } catch (error) {
        if (!isBusy(error)) throw error;
      } finally {
        connection.exec(`pragma busy_timeout = ${pollMs}`);
      }
    },
  };
}
