/** Turns a store's standing to its heads file into a finding, if it is behind: named losses, and a digest that accepts them alone. */
import { createHash } from "node:crypto";
import { mostNoted } from "../head-notes.ts";
import type { KnownLogs, NotedHeads, NotedLog, Standing } from "../heads-store.ts";
import type { HeadsFile } from "./generations.ts";
import type { HeadsPlace } from "./place.ts";

export interface Finding {
  code: "HEADS_MISSING" | "ROLLBACK_SUSPECTED";
  /** One sentence, with some of what is gone, and what to do. */
  message: string;
  /** All that is gone, a line each. */
  lost: readonly string[];
  /**
   * SHA-256 over the heads file and over how the store stands to it, in lower-case hex. It accepts this finding and no other. Changes by
   * replicas that go on writing are not in it, except for the number of audit writers if there is no file.
   */
  digest: string;
  /** The heads file's. */
  sha256: string | undefined;
  /** The logs that the heads file notes. */
  logs: KnownLogs;
  /** How far the store is with each thing that is gone. */
  reach: ReadonlyMap<string, number>;
}

const named = 8;
const nearOldest = 100;

/** `standing` is that of the store to the file's content. */
export function findingOf(place: HeadsPlace, file: HeadsFile, standing: Standing): Finding | undefined {
  const { content, sha256 } = file;
  const digest = digestOf(sha256, standing);
  if (content === undefined || content.storeId !== standing.storeId) {
    const what = whatIsMissing(place, file, standing);
    if (what === undefined) return undefined;
    const logs = { noted: [], mayHaveMore: true };
    const message = `${what}: nobody can tell whether the store was put back; put the file back, or, if the store is the right one, ${accepting(digest)}`;
    return { code: "HEADS_MISSING", message, lost: [], digest, sha256, logs, reach: new Map() };
  }
  const lost = lostOf(content, standing);
  if (lost.length === 0) return undefined;
  const some = lost.slice(0, named).join("; ");
  const more = lost.length > named ? `; and ${lost.length - named} more` : "";
  const when = content.writtenAt.toISOString();
  const message = `the store is behind what ${place.file} noted at ${when}, so it was put back or lost commits: ${some}${more}. Put the newer store back, or, if this one is to be used, ${accepting(digest)}`;
  const logs = { noted: content.logs, mayHaveMore: mayHaveMore(content.logs, standing.logs) };
  return { code: "ROLLBACK_SUSPECTED", message, lost, digest, sha256, logs, reach: reachOf(content, standing) };
}

/**
 * Whether logs that were not noted may have lost entries: those changed before the ones that were. Where the oldest of these lost none, nor did
 * they. Several processes note each second, one after the other, so that the order is only about right.
 */
function mayHaveMore(logs: readonly NotedLog[], behind: Standing["logs"]): boolean {
  const nameOf = ({ tenantId, number }: NotedLog) => `${tenantId}/${number}`;
  const oldest = new Set(logs.slice(0, nearOldest).map(nameOf));
  return logs.length >= mostNoted && behind.some(({ noted }) => oldest.has(nameOf(noted)));
}

/**
 * Whether `now` tells of another loss than `before`: more or less is gone, or something went further back. What other replicas write to a
 * store that was put back is no other loss.
 */
export function isAnotherLoss(before: Finding, now: Finding): boolean {
  if (before.reach.size !== now.reach.size) return true;
  return [...now.reach].some(([name, reach]) => !(reach >= (before.reach.get(name) ?? Number.POSITIVE_INFINITY)));
}

function reachOf({ counted, writersCounted }: NotedHeads, standing: Standing): Map<string, number> {
  const reach = new Map<string, number>();
  if (countLost({ counted }, standing).length > 0) reach.set("commits", standing.counted?.commits ?? 0);
  if (standing.writersCounted < writersCounted) reach.set("writers", standing.writersCounted);
  for (const { noted, newest } of standing.writers) reach.set(`writer ${noted.writerId}`, newest);
  for (const { noted, size } of standing.logs) reach.set(`log ${noted.tenantId}/${noted.number}`, size ?? -1);
  return reach;
}

function accepting(digest: string): string {
  return `run fluo-kms accept-rollback ${digest}`;
}

/** PostgreSQL's stores do not note whether they had one. */
function whatIsMissing({ file, required, database }: HeadsPlace, { sha256 }: HeadsFile, { headsSince }: Standing) {
  if (sha256 !== undefined && database !== undefined && headsSince === undefined) {
    return `the store never had a heads file, and ${file} is damaged, or is another store's; see that the store's volume is mounted`;
  }
  if (sha256 !== undefined) return `the heads file ${file} is damaged, or is another store's`;
  if (headsSince !== undefined) {
    return `the heads file ${file} is gone, and the store has had one since ${headsSince.toISOString()}`;
  }
  return required ? `there is no heads file ${file}, and fluo.kms.audit.heads-file.required is true` : undefined;
}

/** A line for each thing that was durable and is not there; empty if the store is not behind. */
export function lostOf(noted: NotedHeads, standing: Standing): string[] {
  const lost = [
    ...countLost(noted, standing),
    ...writersLost(noted, standing),
    ...standing.writers.map(
      ({ noted: { writerId, sequence }, newest }) =>
        `audit writer ${writerId} had written row ${sequence}, and ${newest >= sequence ? "has another there" : `its newest is ${newest}`}`,
    ),
    ...standing.logs.map(({ noted: { tenantId, number, size: noted }, size }) => {
      const is = size === undefined ? "is gone" : size === noted ? "has others" : `has ${size}`;
      return `log ${number} of tenant ${tenantId} had ${noted} entries, and ${is}`;
    }),
  ];
  // Another replica may have changed a key since: its state alone is no proof.
  return lost.length === 0 ? [] : [...lost, ...keysLost(standing)];
}

function countLost({ counted: noted }: Pick<NotedHeads, "counted">, { counted }: Standing): string[] {
  if (noted === undefined) return [];
  const commits = counted?.commits ?? 0;
  if (commits > noted.commits) return [];
  if (commits < noted.commits) return [`it had ${noted.commits} commits, and has ${commits}`];
  const isSame = isEqual(counted!.logHeads, noted.logHeads) && isEqual(counted!.auditHeads, noted.auditHeads);
  return isSame ? [] : [`its commit ${commits} is another than was noted`];
}

function writersLost({ writersCounted: noted }: NotedHeads, { writersCounted }: Standing): string[] {
  return writersCounted < noted ? [`it had counted ${noted} audit writers, and has counted ${writersCounted}`] : [];
}

function keysLost({ keys }: Standing): string[] {
  return keys.map(({ noted: { tenantId, purpose, keyId, version, state: noted }, state }) => {
    const is = state === undefined ? "is gone" : `is ${state}`;
    return `${purpose} key ${keyId} of tenant ${tenantId}, version ${version}, was ${noted}, and ${is}`;
  });
}

function digestOf(sha256: string | undefined, standing: Standing): string {
  const { storeId, writersCounted, counted, writers, logs } = standing;
  const told = [
    "fluo-kms/v1/finding",
    sha256 ?? null,
    storeId,
    sha256 === undefined ? writersCounted : null, // an acceptance adds one; where there is a file, it makes another
    counted ? [counted.commits, hex(counted.logHeads), hex(counted.auditHeads)] : null,
    writers.map(({ noted: { writerId, sequence }, newest }) => [writerId, sequence, newest]),
    logs.map(({ noted: { tenantId, number, size } }) => [tenantId, number, size]),
  ];
  return createHash("sha256").update(JSON.stringify(told)).digest("hex");
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
