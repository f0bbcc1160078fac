/**
 * The heads file of one store, as one process keeps it: judged before the store is used, begun, and written as the store goes on. What is
 * written was durable before, and nothing in it is ever lowered, but by beginning anew.
 */
import type { KeyObject } from "node:crypto";
import { step } from "../../failpoints.ts";
import { mergeHeads, nothingNoted } from "../head-notes.ts";
import type { HeadsStore, NotedHeads, Standing } from "../heads-store.ts";
import { type Finding, findingOf } from "./finding.ts";
import { readHeads, signatureOf, writeHeads } from "./generations.ts";
import { encodeHeads, type HeadsContent, headsKey } from "./format.ts";
import { type HeadsPlace, whileAlone } from "./place.ts";
import { judgeHeads } from "./judge.ts";
import type { Time } from "../../runtime/time.ts";

export interface KeptHeads {
  /** What was written last, or read by `judge`; undefined before there was a file. */
  content(): HeadsContent | undefined;
  /**
   * Judges the store, see `judgeHeads`. If there is no file, or one that does not count, the next `write` begins one.
   */
  judge(): Promise<Finding | undefined>;
  /**
   * Asks the store what became durable, and notes it for `write`. What the store has lost since is a finding, as long as it is lost, and
   * nothing is noted then.
   */
  look(): Promise<Finding | undefined>;
  /** Whether something is noted that is not written. */
  isDue(): boolean;
  /** Throws the error of the file system, or STORE_UNAVAILABLE, if it cannot be written; then it is still due. */
  write(): Promise<void>;
  /** The next `write` begins a new file, of the store as it is then. */
  beginAnew(): void;
}

export interface KeptHeadsParts {
  store: HeadsStore;
  storeKey: KeyObject;
  place: HeadsPlace;
  time: Time;
}

/** Number of heads that each look compares: the ones that were noted last stand for those before them. */
const watched = { writers: 5, logs: 20 };

export function keptHeads({ store, storeKey, place, time }: KeptHeadsParts): KeptHeads {
  const key = headsKey(storeKey);
  const writer = headsWriter(key, place, time);
  let content: HeadsContent | undefined;
  let news: NotedHeads = nothingNoted;
  /** Whether there is a file to go on with; `anew` if the one that is there does not count. */
  let begun: "yes" | "no" | "anew" = "no";
  let isNotedInStore = place.database === undefined;
  /** Whether the store was behind at the last look. */
  let isBehind = false;

  /** `standing` is that to the last of what was noted; where it is behind, or was, all of it is compared. */
  async function behind(noted: HeadsContent, standing: Standing): Promise<Finding | undefined> {
    const last = { ...noted, ...lastOf(noted) };
    if (!isBehind && findingOf(place, { sha256: "", content: last }, standing) === undefined) return undefined;
    // The file may have been put back with the store: what this process knows counts.
    const { sha256 } = await readHeads(place.file, key);
    return findingOf(place, { sha256, content: noted }, await store.standing(noted));
  }

  return {
    content: () => content,

    async judge() {
      const { file, standing, finding, isAccepted } = await judgeHeads(store, storeKey, place);
      isNotedInStore ||= standing.headsSince !== undefined;
      if (finding !== undefined || isAccepted)
        begun = "anew"; // once it is accepted
      else {
        content = file.content;
        begun = content === undefined ? "no" : "yes";
      }
      return finding;
    },

    async look() {
      const known = begun === "yes" ? content : undefined;
      const { news: taken, standing } = await store.takeHeads(lastOf(known));
      const finding = known && (await behind(known, standing));
      isBehind = finding !== undefined;
      if (finding !== undefined) return finding;
      news = mergeHeads(news, known === undefined ? taken : withoutNoted(taken, known));
      return undefined;
    },

    isDue() {
      if (begun !== "yes" || content === undefined || !isNotedInStore) return true;
      const { counted, writersCounted, writers, logs, keys } = news;
      if (writers.length + logs.length + keys.length > 0 || writersCounted > content.writersCounted) return true;
      return counted !== undefined && counted.commits > (content.counted?.commits ?? 0);
    },

    async write() {
      if (begun === "yes" && content !== undefined) content = await writer.goOn(content, news);
      else content = await writer.begin(await firstContent(store, time.now()), begun === "anew");
      begun = "yes";
      news = nothingNoted;
      if (isNotedInStore) return;
      step("heads.begun"); // a crash here leaves a file that the store does not know of, and the next start tells it
      await store.noteHeadsFile(content.since);
      isNotedInStore = true;
    },

    beginAnew() {
      begun = "anew";
    },
  };
}

/**
 * Writes the file beside other processes of the same store, each of which adds to what the others wrote. Each call gives what the file holds
 * then, and throws the error of the file system or STORE_UNAVAILABLE if it cannot be written.
 */
function headsWriter(key: KeyObject, place: HeadsPlace, time: Time) {
  /** Signature of the files as this process left them. */
  let signature: string | undefined;

  async function write(content: HeadsContent): Promise<HeadsContent> {
    signature = undefined;
    await writeHeads(place, content.generation, encodeHeads(content, key));
    signature = await signatureOf(place.file);
    return content;
  }

  function add(before: HeadsContent, news: NotedHeads): Promise<HeadsContent> {
    const { generation } = before;
    return write({ ...before, ...mergeHeads(before, news), generation: generation + 1, writtenAt: time.now() });
  }

  async function withOthers(own: HeadsContent): Promise<HeadsContent> {
    if (signature === (await signatureOf(place.file))) return own;
    const { content: found } = await readHeads(place.file, key);
    if (found?.storeId !== own.storeId) return own;
    return { ...own, ...mergeHeads(own, found), generation: Math.max(own.generation, found.generation) };
  }

  return {
    /** The first file of a store. One that another process wrote meanwhile goes on, unless what is there does not count. */
    begin: (first: Omit<HeadsContent, "generation">, isAnew: boolean) =>
      whileAlone(place, time, async () => {
        const { content: found } = await readHeads(place.file, key);
        if (!isAnew && found?.storeId === first.storeId) return add(found, first);
        const generation = found?.generation ?? 0;
        await write({ ...first, generation: generation + 1 });
        return write({ ...first, generation: generation + 2 }); // both files, so that nothing is left of what was before
      }),
    /** `own` is what this process wrote last. */
    goOn: (own: HeadsContent, news: NotedHeads) =>
      whileAlone(place, time, async () => add(await withOthers(own), news)),
  };
}

/** The content of a new file. */
async function firstContent(store: HeadsStore, now: Date): Promise<Omit<HeadsContent, "generation">> {
  const { storeId, counted, writersCounted } = await store.standing(nothingNoted);
  return { ...(await store.newestHeads()), storeId, counted, writersCounted, since: now, writtenAt: now };
}

/** A process that begins is told of rows that were noted before. */
function withoutNoted(news: NotedHeads, { writers }: NotedHeads): NotedHeads {
  const noted = new Map(writers.map(({ writerId, sequence }) => [writerId, sequence]));
  return { ...news, writers: news.writers.filter(({ writerId, sequence }) => sequence > (noted.get(writerId) ?? 0)) };
}

function lastOf(content: HeadsContent | undefined): NotedHeads {
  const { counted, writersCounted, writers, logs } = content ?? nothingNoted;
  const last = { writers: writers.slice(-watched.writers), logs: logs.slice(-watched.logs), keys: [] };
  return { counted, writersCounted, ...last };
}
