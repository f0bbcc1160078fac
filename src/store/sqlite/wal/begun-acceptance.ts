/**
 * A file beside a database, `<database>.accepting`, from when the loss of its log's end is accepted until the audit trail says so. While it is there
 * the store is not opened: after a crash between the two, nobody would know that commits were dropped.
 */
import { readFileSync } from "node:fs";

export interface BegunAcceptance {
  /** The one that was accepted, of the damaged log. */
  digest: string;
  /** The copy of the database as it was; that of its log ends in `-wal`. */
  kept: string;
}

export function acceptancePath(file: string): string {
  return `${file}.accepting`;
}

export function acceptanceText({ digest, kept }: BegunAcceptance): string {
  return JSON.stringify({ digest, kept });
}

/** Undefined if none was begun. One that cannot be read has no digest, which nobody can accept. */
export function begunAcceptance(file: string): BegunAcceptance | undefined {
  let text: string;
  try {
    text = readFileSync(acceptancePath(file), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { digest, kept } = JSON.parse(text);
    return { digest: String(digest), kept: String(kept) };
  } catch {
    return { digest: "", kept: "" };
  }
}
