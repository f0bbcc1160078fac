/**
 * Tells when files are others than they were, by their folders: a file that is put in another's place, and a link that is swapped as
 * Kubernetes does it, are new files. Where a folder cannot be watched, and beside it, files are looked at once a minute.
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import type { Time, Timer } from "./time.ts";

export interface WatchFilesParts {
  /** Asked again after each change. */
  paths(): readonly string[];
  changed(): void;
  time: Time;
  /** Time from the last event to the look, as a change is often several. */
  settleMs?: number;
  lookMs?: number;
}

export interface WatchedFiles {
  /** Says that the files are about to be read for another reason: as they are now, they need not be told of. */
  known(): void;
  close(): void;
}

export function watchFiles({ paths, changed, time, settleMs = 1_000, lookMs = 60_000 }: WatchFilesParts): WatchedFiles {
  const watchers = new Map<string, FSWatcher>();
  let settling: Timer | undefined;
  let seen = stampsOf(paths());
  const looking = time.every(lookMs, look);
  watchFolders();

  function look(): void {
    time.clear(settling);
    settling = undefined;
    const now = stampsOf(paths());
    if (now === seen) return;
    seen = now;
    changed();
    seen = stampsOf(paths());
    watchFolders();
  }

  function watchFolders(): void {
    const folders = new Set(paths().map((path) => dirname(path)));
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) if (!watchers.has(folder)) watchFolder(folder);
  }

  function watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        settling ??= time.after(settleMs, look);
        settling.refresh();
      });
      // The folder is gone, say; the look once a minute finds what comes in its place.
      watcher.on("error", () => {
        watcher.close();
        watchers.delete(folder);
      });
      watchers.set(folder, watcher);
    } catch {
      // The system watches as many as it can already, or the folder is not there.
    }
  }

  return {
    known() {
      seen = stampsOf(paths());
    },
    close() {
      time.clear(settling);
      time.clear(looking);
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
    },
  };
}

/** What tells files from others in their places. */
export function stampsOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      try {
        const { dev, ino, size, mtimeMs } = statSync(path);
        return [dev, ino, size, mtimeMs].join(":");
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    })
    .join(" ");
}
