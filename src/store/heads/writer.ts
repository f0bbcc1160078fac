/** Writes the heads file beside other processes of the same store, each of which adds to what the others wrote. */
import type { KeyObject } from "node:crypto";
import { mergeHeads } from "../head-notes.ts";
import type { NotedHeads } from "../heads-store.ts";
import { readHeads, signatureOf, writeHeads } from "./generations.ts";
import { encodeHeads, type HeadsContent } from "./format.ts";
import { type HeadsPlace, whileAlone } from "./place.ts";
import type { Time } from "../../runtime/time.ts";

/** Each gives what the file holds then. If it cannot be written, each throws the error of the file system or STORE_UNAVAILABLE. */
export interface HeadsWriter {
  /** The first file of a store. One that another process wrote meanwhile goes on, unless what is there does not count. */
  begin(first: Omit<HeadsContent, "generation">, isAnew: boolean): Promise<HeadsContent>;
  /** `own` is what this process wrote last. */
  goOn(own: HeadsContent, news: NotedHeads): Promise<HeadsContent>;
}

export interface HeadsWriterParts {
  /** See `headsKey`. */
  key: KeyObject;
  place: HeadsPlace;
  time: Time;
}

export function headsWriter({ key, place, time }: HeadsWriterParts): HeadsWriter {
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
    begin: (first, isAnew) =>
      whileAlone(place, time, async () => {
        const { content: found } = await readHeads(place.file, key);
        if (!isAnew && found?.storeId === first.storeId) return add(found, first);
        const generation = found?.generation ?? 0;
        await write({ ...first, generation: generation + 1 });
        return write({ ...first, generation: generation + 2 }); // both files, so that nothing is left of what was before
      }),
    goOn: (own, news) => whileAlone(place, time, async () => add(await withOthers(own), news)),
  };
}
