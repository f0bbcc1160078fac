/** Judges a store by its heads file. Both are only read. */
import type { KeyObject } from "node:crypto";
import { KmsError } from "../../errors.ts";
import { nothingNoted } from "../head-notes.ts";
import type { HeadsReader, Standing } from "../heads-store.ts";
import type { LockedStore } from "../store.ts";
import { type Finding, findingOf } from "./finding.ts";
import { type HeadsFile, noHeadsFile, readHeads } from "./generations.ts";
import { headsKey } from "./format.ts";
import type { HeadsPlace } from "./place.ts";

export interface Judgement {
  file: HeadsFile;
  standing: Standing;
  /** Undefined if the store is not behind, or if a row of its audit trail accepts that it is. */
  finding: Finding | undefined;
  isAccepted: boolean;
}

/**
 * Compares a store with its heads file. Without the store key nothing is authenticated: that tells a store that was put back by mistake.
 * DATA_LOSS for a finding that damage explains: rows that cannot be read look like rows that were never written.
 */
export async function judgeHeads(
  store: HeadsReader,
  storeKey: KeyObject | undefined,
  place: HeadsPlace,
): Promise<Judgement> {
  const compared = async () => {
    const file = await readHeads(place.file, storeKey && headsKey(storeKey)); // before the store, which may go on meanwhile
    return { file, standing: await store.standing(file.content ?? nothingNoted) };
  };
  let { file, standing } = await compared();
  // Another service may have begun the file between both looks: it notes that in the store once the file is there.
  if (file.sha256 === undefined && standing.headsSince !== undefined) ({ file, standing } = await compared());
  const finding = findingOf(place, file, standing);
  if (finding === undefined) return { file, standing, finding, isAccepted: false };
  if (finding.sha256 !== undefined && (await store.acceptsHeads(finding.sha256)))
    return { file, standing, finding: undefined, isAccepted: true };
  await store.refuseDamaged();
  return { file, standing, finding, isAccepted: false };
}

/** Throws the finding of a store that is behind its heads file. */
export async function refuseBehind(
  store: HeadsReader,
  storeKey: KeyObject | undefined,
  place: HeadsPlace | undefined,
): Promise<void> {
  const { finding } = place === undefined ? {} : await judgeHeads(store, storeKey, place);
  if (finding !== undefined) throw refusal(finding);
}

/**
 * Refuses a store that has no key and has a heads file, as ROLLBACK_SUSPECTED: every tenant would get new keys, as if there had never been any.
 * Another service may have made both meanwhile.
 */
export async function refuseEmpty(
  place: HeadsPlace | undefined,
  { storeKey }: Pick<LockedStore, "storeKey">,
): Promise<void> {
  if (place === undefined) return;
  const { sha256, content } = await readHeads(place.file, undefined).catch((error) => {
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOTDIR") return noHeadsFile;
    throw error;
  });
  if (sha256 === undefined || (await storeKey()) !== undefined) return;
  const noted =
    content?.counted === undefined ? "is of a store that was used" : `notes ${content.counted.commits} commits`;
  const store = place.database === undefined ? "the database" : place.database;
  const question =
    place.database === undefined ? "does fluo.kms.postgres.url name the right database?" : "is its volume mounted?";
  throw new KmsError(
    "ROLLBACK_SUSPECTED",
    `${store} has no store yet, and the heads file ${place.file} ${noted}: ${question} If so, put the store back, or restore a backup (fluo-kms restore); to begin a new store, move the heads file and its .1 away`,
  );
}

export function refusal({ code, message }: Finding): KmsError {
  return new KmsError(code, message);
}
