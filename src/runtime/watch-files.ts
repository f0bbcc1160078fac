/**
 * Tells when files have changed: edited, replaced, or reached over a link that was swapped, as Kubernetes does it. Only the
 * names that lead to a file count, so that a log or a database in its folder delays nothing. Events can get lost, and some
 * places cannot be watched, so the files are looked at once a minute too.
 */
import { type FSWatcher, readlinkSync, statSync, watch } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import type { Time, Timer } from "./time.ts";

/** What identifies the file at each path, or why there is none: replaced and edited files differ. */
export type Stamps = ReadonlyMap<string, string>;

export interface WatchFilesParts {
  /** The files, with their stamps from before they were last read. Asked at each event. */
  stamps(): Stamps;
  /** Reads the files. */
  changed(): Promise<void> | void;
  time: Time;
}

export interface WatchedFiles {
  /** Reads the files for another reason. */
  read(): Promise<void>;
  close(): void;
}

/** Time without an event after which a change is complete: it is often several events. */
const settleMs = 1_000;
/** Longest time from the first event to the look. */
const longestMs = 2_000;
const lookMs = 60_000;

export function watchFiles({ stamps, changed, time }: WatchFilesParts): WatchedFiles {
  let watchers: FSWatcher[] = [];
  let settling: Timer | undefined;
  let latest: Timer | undefined;
  let isClosed = false;
  const looking = time.every(lookMs, look);
  watchPlaces();

  function lookSoon(): void {
    settling ??= time.after(settleMs, look);
    settling.refresh();
    latest ??= time.after(longestMs, look);
  }

  function look(): void {
    forgetEvents();
    if (haveChanged(stamps())) void read();
  }

  function forgetEvents(): void {
    time.clear(settling);
    time.clear(latest);
    [settling, latest] = [undefined, undefined];
  }

  async function read(): Promise<void> {
    await changed();
    if (!isClosed) watchPlaces();
  }

  /** Opens all watchers again, because a folder may be another one under its former name. */
  function watchPlaces(): void {
    for (const watcher of watchers) watcher.close();
    watchers = [...placesOf(stamps().keys())].flatMap(([place, names]) => watchPlace(place, names) ?? []);
    if (haveChanged(stamps())) lookSoon(); // since they were read, and before they were watched
  }

  function watchPlace(place: string, names: ReadonlySet<string>): FSWatcher | undefined {
    try {
      const watcher = watch(place, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) lookSoon();
      });
      return watcher.on("error", () => watcher.close());
    } catch {
      return undefined; // it does not exist, or the system watches as many as it can
    }
  }

  return {
    read,
    close() {
      isClosed = true;
      forgetEvents();
      time.clear(looking);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/**
 * Places to watch, with the names that count in each: folders with links or files on the way, and each file itself, since a
 * folder does not tell of changes in a file that is mounted into it. A folder that is moved tells its own name.
 */
function placesOf(paths: Iterable<string>): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  for (const path of paths) {
    const { links, file } = wayTo(resolve(path));
    for (const step of [...links, file]) {
      const folder = dirname(step);
      places.set(folder, (places.get(folder) ?? new Set([basename(folder)])).add(basename(step)));
    }
    places.set(file, new Set([basename(file)]));
  }
  return places;
}

/** As many links as Linux follows. */
const maxLinks = 40;

/** The links over which an absolute path leads, and the file at its end, which need not exist. */
function wayTo(path: string): { links: string[]; file: string } {
  const links: string[] = [];
  let file = path;
  while (links.length < maxLinks) {
    const found = firstLink(file);
    if (found === undefined) break;
    links.push(found.link);
    file = resolve(dirname(found.link), found.target, relative(found.link, file));
  }
  return { links, file };
}

/** The link nearest to the root on the path, and what it holds. */
function firstLink(path: string): { link: string; target: string } | undefined {
  const parent = dirname(path);
  const above = parent === path ? undefined : firstLink(parent);
  if (above !== undefined) return above;
  try {
    return { link: path, target: readlinkSync(path) };
  } catch {
    return undefined; // no link, or nothing at all
  }
}

export function stampsOf(paths: Iterable<string>): Stamps {
  return new Map([...paths].map((path) => [path, stampOf(path)]));
}

/** True if any of the files is another one now. */
export function haveChanged(stamps: Stamps): boolean {
  return stamps.entries().some(([path, stamp]) => stampOf(path) !== stamp);
}

function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return [dev, ino, size, mtimeMs].join(":");
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
