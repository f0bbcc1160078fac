/** States of a store's files, drawn by a seed: one to three changes of a store that was whole. */
import { type Random, randomFrom } from "../crash/random.ts";
import { frameBytes, framePart, inFrame, walHeaderBytes } from "../support/wal-files.ts";
import { bytesOf, type Files, headsNames, isSame, names, specials } from "./files.ts";
import { commitsOf } from "./log-reader.ts";
import type { MadeStore } from "./made-stores.ts";

export interface State {
  store: MadeStore;
  files: Files;
  /** What was changed, in words. Empty for a store as it was left. */
  changes: readonly string[];
}

/** The state with this number. It depends on nothing else that was drawn. */
export function drawState(stores: readonly MadeStore[], seed: number, number: number): State {
  const random = randomFrom(Math.imul(seed, 0x85ebca6b) ^ Math.imul(number + 1, 0x9e3779b1));
  const store = random.pick(stores)!;
  const state = { ...wholeState(store), changes: [] as string[] };
  const wanted = Number(random.weighted({ 1: 5, 2: 3, 3: 2 }));
  // What would change nothing is drawn again.
  for (let tries = 0; tries < mostTries && state.changes.length < wanted; tries += 1) {
    const before = new Map(state.files);
    const words = change({ store, files: state.files, random });
    if (isEqual(before, state.files)) continue;
    state.changes.push(words);
  }
  return state;
}

const mostTries = 50;

/** A store as it was left. */
export function wholeState(store: MadeStore): State {
  return { store, files: new Map(store.ages.at(-1)), changes: [] };
}

function isEqual(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, content]) => isSame(content, b.get(name)));
}

interface Draft {
  store: MadeStore;
  files: Files;
  random: Random;
}

/** Changes the files, and says how. */
type Change = (draft: Draft) => string;

function change(draft: Draft): string {
  const changes: Record<string, Change> = {
    log: changeLog,
    heads: changeHeads,
    database: changeDatabase,
    special: putSpecial,
  };
  return changes[draft.random.weighted({ log: 12, heads: 8, database: 4, special: 2 })]!(draft);
}

const nothing = "nothing";

function changeLog(draft: Draft): string {
  const { files, random } = draft;
  const how = random.weighted({ cut: 6, zeroed: 5, flipped: 4, doubled: 3, replaced: 5, removed: 1 });
  const log = bytesOf(files, names.log);
  if (how === "replaced") return replaceLog(draft);
  if (log === undefined || log.length <= walHeaderBytes) return nothing;
  if (how === "removed") files.delete(names.log);
  if (how === "removed") return "the log removed";
  const [changed, words] = { cut: cutLog, zeroed: zeroLog, flipped: flipLog, doubled: doubleLog }[how](log, random);
  files.set(names.log, changed);
  return `the log ${words}`;
}

type Changed = readonly [Buffer, words: string];

function cutLog(log: Buffer, random: Random): Changed {
  const frames = framesOf(log);
  switch (random.weighted({ byte: 1, frame: 1, commit: 1 })) {
    case "byte":
      return cut(log, random);
    case "frame": {
      const frame = random.below(frames);
      return [log.subarray(0, inFrame(frame + 1, 0)), `cut behind frame ${frame} of ${frames}`];
    }
    case "commit": {
      const frame = random.pick([0, ...commitsOf(log)])!;
      return [log.subarray(0, inFrame(frame + 1, 0)), `cut behind the commit at frame ${frame} of ${frames}`];
    }
  }
}

function zeroLog(log: Buffer, random: Random): Changed {
  const how = random.weighted({ range: 3, header: 2, sector: 1, page: 1, tail: 2 });
  const [one, two] = [random.below(log.length), random.below(log.length)];
  const ranges: Record<typeof how, [number, number]> = {
    range: [Math.min(one, two), Math.max(one, two) + 1],
    header: [0, walHeaderBytes],
    sector: [0, 512],
    page: [0, 4096],
    tail: [one, log.length],
  };
  return zeroed(log, ranges[how]);
}

function flipLog(log: Buffer, random: Random): Changed {
  const where = random.weighted({ header: 1, frameHeader: 1, page: 1 });
  const frame = 1 + random.below(framesOf(log));
  const byte = {
    header: random.below(walHeaderBytes),
    frameHeader: inFrame(frame, random.below(framePart.page)),
    page: inFrame(frame, framePart.page + random.below(frameBytes - framePart.page)),
  }[where];
  const [changed, words] = flipped(log, byte, random);
  return [
    changed,
    where === "header"
      ? `${words}, in its header`
      : `${words}, in the ${where === "page" ? "page" : "header"} of frame ${frame}`,
  ];
}

function doubleLog(log: Buffer, random: Random): Changed {
  if (random.chance(0.3)) return [Buffer.concat([log, log]), "appended to itself"];
  const frames = framesOf(log);
  const [from, to] = [1 + random.below(frames), 1 + random.below(frames)];
  const count = 1 + random.below(frames + 1 - Math.max(from, to));
  const changed = Buffer.from(log);
  log.copy(changed, inFrame(to, 0), inFrame(from, 0), inFrame(from + count, 0));
  return [changed, `with the ${count} frames from ${from} on once more in place of those from ${to} on`];
}

function framesOf(log: Buffer): number {
  return Math.max(0, Math.floor((log.length - walHeaderBytes) / frameBytes));
}

function replaceLog({ files, store, random }: Draft): string {
  const log = bytesOf(files, names.log);
  const older = drawOlder(store, random);
  switch (random.weighted({ older: 3, other: 2, otherHeader: 2, olderHeader: 1 })) {
    case "older":
      return replace(files, names.log, older.files, `the log as it was ${older.words}`);
    case "other":
      return replace(files, names.log, store.other, "the log of another store");
    case "otherHeader":
      return replaceHeader(files, log, bytesOf(store.other, names.log), "of another store's");
    case "olderHeader":
      return replaceHeader(files, log, bytesOf(older.files, names.log), `that it had ${older.words}`);
  }
}

function replaceHeader(files: Files, log: Buffer | undefined, from: Buffer | undefined, words: string): string {
  if (log === undefined || from === undefined || Math.min(log.length, from.length) < walHeaderBytes) return nothing;
  files.set(names.log, Buffer.concat([from.subarray(0, walHeaderBytes), log.subarray(walHeaderBytes)]));
  return `the log with the header ${words}`;
}

function drawOlder({ ages }: MadeStore, random: Random): { files: Files; words: string } {
  const age = random.below(ages.length - 1);
  return { files: ages[age]!, words: `at age ${age} of ${ages.length - 1}` };
}

/** Puts what `from` has under this name in its place, or removes it if `from` has nothing. */
function replace(files: Files, name: string, from: Files, words: string): string {
  const content = from.get(name);
  if (content === undefined) files.delete(name);
  else files.set(name, content);
  return content === undefined ? `${words}: none` : words;
}

function changeHeads({ files, store, random }: Draft): string {
  const which = random.weighted({ [headsNames[0]]: 1, [headsNames[1]]: 1, both: 2 });
  const all: readonly string[] = which === "both" ? headsNames : [which];
  const how = random.weighted({ removed: 2, cut: 2, zeroed: 2, flipped: 2, same: 1, older: 3, other: 2 });
  const words = `${which === "both" ? "both heads files" : which} `;
  const older = drawOlder(store, random);
  switch (how) {
    case "removed":
      for (const name of all) files.delete(name);
      return `${words}removed`;
    case "same": {
      const from = random.pick(headsNames)!;
      for (const name of headsNames) replace(files, name, new Map([[name, files.get(from)!]]), "");
      return `both heads files as ${from}`;
    }
    case "older":
      for (const name of all) replace(files, name, older.files, "");
      return `${words}as ${older.words}`;
    case "other":
      for (const name of all) replace(files, name, store.other, "");
      return `${words}of another store`;
    default: {
      const done = all.map((name) => changeBytes(files, name, how, random));
      return words + done.join(", and ");
    }
  }
}

function changeBytes(files: Files, name: string, how: "cut" | "zeroed" | "flipped", random: Random): string {
  const bytes = bytesOf(files, name);
  const [one, two] = [random.next(), random.next()].map((part) => Math.floor(part * (bytes?.length ?? 0)));
  if (bytes === undefined || bytes.length === 0) return nothing;
  const [changed, words] = {
    cut: () => cut(bytes, random),
    zeroed: () =>
      zeroed(bytes, random.chance(0.5) ? [0, bytes.length] : [Math.min(one!, two!), Math.max(one!, two!) + 1]),
    flipped: () => flipped(bytes, one!, random),
  }[how]();
  files.set(name, changed);
  return words;
}

function changeDatabase({ files, store, random }: Draft): string {
  const older = drawOlder(store, random);
  switch (random.weighted({ empty: 2, removed: 2, older: 2, olderWithLog: 2 })) {
    case "empty":
      files.set(names.database, Buffer.alloc(0));
      return "the database cut to nothing";
    case "removed":
      files.delete(names.database);
      return "the database removed";
    case "older":
      return replace(files, names.database, older.files, `the database as it was ${older.words}`);
    case "olderWithLog":
      for (const name of [names.database, names.log]) replace(files, name, older.files, "");
      return `the database and its log as they were ${older.words}`;
  }
}

function putSpecial({ files, random }: Draft): string {
  const name = random.pick([names.database, names.log, ...headsNames])!;
  const kind = random.pick(specials)!;
  files.set(name, kind);
  return `${kind === "zeros" ? "a link to /dev/zero" : `a ${kind}`} in place of ${name}`;
}

function cut(bytes: Buffer, random: Random): Changed {
  const at = random.below(bytes.length);
  return [bytes.subarray(0, at), `cut to ${at} of ${bytes.length} bytes`];
}

function zeroed(bytes: Buffer, [from, to]: readonly [number, number]): Changed {
  const changed = Buffer.from(bytes).fill(0, from, Math.min(to, bytes.length));
  return [changed, `with zeros in its bytes ${from} to ${to - 1} of ${bytes.length}`];
}

function flipped(bytes: Buffer, byte: number, random: Random): Changed {
  const bit = random.below(8);
  const changed = Buffer.from(bytes);
  changed[byte]! ^= 1 << bit;
  return [changed, `with bit ${bit} of byte ${byte} of ${bytes.length} flipped`];
}
