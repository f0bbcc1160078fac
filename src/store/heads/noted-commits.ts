/** What the heads file beside a SQLite database says of its commits, before anything of the store is opened: it is not authenticated here. */
import { readFileSync } from "node:fs";

const mostBytes = 16 * 1024 * 1024;

/** The commits that were known to be durable. Undefined if there is no heads file, or none that says so. */
export function readNotedCommits(file: string): number | undefined {
  try {
    const text = readFileSync(`${file}-heads`, "utf8");
    if (text.length > mostBytes) return undefined;
    const { commits } = JSON.parse(text) as { commits?: unknown };
    return Number.isSafeInteger(commits) && (commits as number) >= 0 ? (commits as number) : undefined;
  } catch {
    return undefined; // it is judged where it is authenticated
  }
}
