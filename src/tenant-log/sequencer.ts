/**
 * Gives the batches of a tenant their places in its log: those that wait are one group, which is stored whole before any of them is answered.
 * Only a head that is stored is signed. Other replicas append to the same log: whoever stores first wins, and the others grow their group
 * from the head that then is. A handover has a turn of its own, see handover.ts.
 */
import type { LogBatch } from "../batch/enter.ts";
import type { BatchPool } from "../batch/pool/pool.ts";
import type { LogPosition, ProvenBatch } from "../batch/prove.ts";
import { hasCode, KmsError } from "../errors.ts";
import { release } from "../runtime/detach.ts";
import type { KeyUser } from "../keys/waiter.ts";
import type { Keyring } from "../keys/keyring.ts";
import { signCheckpoint } from "../tlog/checkpoint.ts";
import { type Growth, hashBytes, type NewNodes } from "../tlog/merkle.ts";
import { storedTree } from "../tlog/stored-tree.ts";
import { isIncluded } from "../tlog/verify-proof.ts";
import { step } from "../failpoints.ts";
import type { LogHead, LogRequest, LogStore } from "../store/log-store.ts";
import { appendOf, entriesIn, leavesOf, type Member, placesOf } from "./group.ts";
import type { Heads } from "./heads.ts";
import type { Time } from "../runtime/time.ts";

export interface Sequencer {
  /**
   * Appends a batch to the tenant's log, which its first batch creates, and resolves once it is durable and its checkpoint is signed. Batches
   * of a tenant get their places in the order of these calls. One whose request id is remembered gets the places that it has, entered
   * `again` as it was signed first. REQUEST_ID_REUSED where that was another body, KEY_UNUSABLE where no signing key is ACTIVE, CONFLICT
   * where other replicas were always first. The batch is given away: its leaves and entries are gone once they are stored.
   */
  append(tenantId: string, batch: LogBatch, again: Again, by: KeyUser): Promise<Placed>;

  /**
   * Runs `attempt` when the batches of the tenant that came before have their places, and lets those that come later wait. Repeats it while
   * it resolves to undefined, which says that another replica was first. CONFLICT if others always were.
   */
  inTurn<T>(tenantId: string, attempt: () => Promise<T | undefined>): Promise<T>;
}

export type Again = (signedAtMs: number) => Promise<LogBatch>;

export interface Placed {
  /** As it was given, or as it was entered again; without what is stored now. */
  batch: ProvenBatch;
  place: LogPosition;
  /** The key that signed the checkpoint. */
  keyId: string;
}

export interface SequencerOptions {
  store: Pick<LogStore, "appendLog" | "logRequest" | "logHashes">;
  heads: Heads;
  keys: Pick<Keyring, "activeSigningKey" | "invalidate">;
  pool: Pick<BatchPool, "grow">;
  time: Time;
  /** In [0, 1). */
  random?: () => number;
}

interface Stored {
  head: LogHead;
  growth: Growth;
}

interface Signed {
  keyId: string;
  checkpoint: string;
}

/** A batch that waits for its place. */
interface Waiting extends Member {
  by: KeyUser;
  placed(stored: Stored, firstIndex: number, signed: Signed): void;
  remembered(head: LogHead, record: LogRequest): void;
  failed(error: unknown): void;
}

/** A group of batches, or other work, that has its turn in the line of its tenant. */
interface Turn {
  run(): Promise<void>;
  failed(error: unknown): void;
}

/**
 * Of one transaction, but for a batch that has more. With larger groups all streams come to wait for one commit, and then all at once for the
 * threads; with smaller ones commits cost more than they carry. Measured with 64 streams.
 */
const maxGroupEntries = 5_000;
const maxAttempts = 50;
const longestPauseMs = 50;

export function createSequencer({ store, heads, keys, pool, time, ...options }: SequencerOptions): Sequencer {
  const { random = Math.random } = options;
  /** By tenant, while any wait or are being stored. */
  const lines = new Map<string, (Waiting | Turn)[]>();

  function enqueue(tenantId: string, waiting: Waiting | Turn): void {
    const line = lines.get(tenantId);
    if (line !== undefined) {
      line.push(waiting);
      return;
    }
    const begun = [waiting];
    lines.set(tenantId, begun);
    void serve(tenantId, begun);
  }

  async function serve(tenantId: string, line: (Waiting | Turn)[]): Promise<void> {
    await undefined; // what comes in this turn is in the first group
    while (line.length > 0) {
      const turn = takeTurn(tenantId, line);
      try {
        await turn.run();
      } catch (error) {
        heads.doubt(tenantId); // it may be stored nevertheless
        turn.failed(error);
      }
    }
    lines.delete(tenantId);
  }

  function takeTurn(tenantId: string, line: (Waiting | Turn)[]): Turn {
    const first = line[0]!;
    if ("run" in first) {
      line.shift();
      return first;
    }
    const group = takeGroup(line);
    return {
      run: () => place(tenantId, group),
      failed(error) {
        for (const { failed } of group) failed(error);
      },
    };
  }

  async function place(tenantId: string, group: readonly Waiting[]): Promise<void> {
    // No entry for which nobody could sign. A tenant's first batch makes its key.
    const waiter = { caller: group[0]!.by, signal: neverAborted };
    let fresh = group;
    await untilFirst(tenantId, async (number) => {
      const { keyId } = await keys.activeSigningKey(tenantId, waiter, "sign");
      const head = await openLog(tenantId, keyId);
      if (head === undefined) return undefined;
      if (number > 1) fresh = await withoutRemembered(head, fresh);
      if (fresh.length === 0) return true;
      const stored = await tryAppend(head, fresh);
      if (stored === undefined) return undefined;
      await answer(stored, head.size, fresh);
      return true;
    });
  }

  /** Attempts are numbered from 1. */
  async function untilFirst<T>(tenantId: string, attempt: (number: number) => Promise<T | undefined>): Promise<T> {
    for (let number = 1; number <= maxAttempts; number += 1) {
      const result = await attempt(number);
      if (result !== undefined) return result;
      heads.doubt(tenantId);
      await time.sleep(random() * Math.min(number * 5, longestPauseMs));
    }
    throw new KmsError("CONFLICT", `other replicas were always first to append to the log of ${tenantId}: try again`);
  }

  /** Undefined where another replica has rotated the key. */
  async function openLog(tenantId: string, signingKeyId: string): Promise<LogHead | undefined> {
    const head = await heads.open(tenantId, signingKeyId);
    if (head === undefined) keys.invalidate(tenantId, signingKeyId);
    return head;
  }

  /** Undefined where another was first, or a request is remembered. */
  async function tryAppend(head: LogHead, group: readonly Waiting[]): Promise<Stored | undefined> {
    const growth = await pool.grow(head, leavesOf(group));
    const append = appendOf(head, group, growth, time.now());
    if (growth.after.size === head.size && append.requests.length === 0) return { head, growth };
    try {
      await store.appendLog(append);
    } catch (error) {
      if (hasCode(error, "CONFLICT")) return undefined;
      throw error;
    }
    const stored = { ...head, ...append.next };
    heads.stored(stored);
    step("log.appended");
    return { head: stored, growth };
  }

  async function answer(stored: Stored, firstIndex: number, group: readonly Waiting[]): Promise<void> {
    const signed = await sign(stored.head);
    const places = placesOf(group, firstIndex);
    for (const [at, { placed, batch }] of group.entries()) {
      placed(stored, places[at]!, signed);
      release(batch.leaves);
      release(batch.entries);
    }
  }

  /** Of a head that is stored. The same head and key give the same checkpoint, on any replica. */
  async function sign(head: LogHead): Promise<Signed> {
    const { keyId, key } = await keys.activeSigningKey(head.tenantId);
    const checkpoint = signCheckpoint(head, key);
    step("log.signed");
    return { keyId, checkpoint };
  }

  /** Those that nobody has stored yet; the others are told where they are. */
  async function withoutRemembered(head: LogHead, group: readonly Waiting[]): Promise<Waiting[]> {
    const find = ({ batch: { requestId } }: Waiting) =>
      requestId === "" ? undefined : store.logRequest(head, requestId);
    const records = await Promise.all(group.map(find));
    return group.filter((waiting, at) => {
      const record = records[at];
      if (record !== undefined) waiting.remembered(head, record);
      return record === undefined;
    });
  }

  async function placeAgain(head: LogHead, record: LogRequest, batch: LogBatch, again: Again): Promise<Placed> {
    if (record.digest !== batch.digest) {
      throw new KmsError("REQUEST_ID_REUSED", "the request_id was used for another batch: give each batch its own");
    }
    const first = await again(record.signedAt.getTime());
    const siblings = await placeRemembered(store, head, record, first);
    const { keyId, checkpoint } = await sign(head);
    return { batch: first, keyId, place: { firstIndex: record.firstIndex, siblings, checkpoint } };
  }

  return {
    append: (tenantId, batch, again, by) =>
      new Promise<Placed>((resolve, failed) => {
        enqueue(tenantId, {
          batch,
          by,
          failed,
          placed: ({ growth }, firstIndex, { keyId, checkpoint }) =>
            resolve({ batch, keyId, place: { firstIndex, siblings: newNodesOf(growth), checkpoint } }),
          remembered: (head, record) => resolve(placeAgain(head, record, batch, again)),
        });
      }),

    inTurn: <T>(tenantId: string, attempt: () => Promise<T | undefined>) =>
      new Promise<T>((resolve, failed) => {
        enqueue(tenantId, { run: () => untilFirst(tenantId, attempt).then(resolve), failed });
      }),
  };
}

function newNodesOf({ before, after, nodes }: Growth): NewNodes {
  return { before: { size: before.size }, after: { size: after.size }, nodes };
}

const neverAborted = new AbortController().signal;

/** The first batches of a line: at least one, and no request id twice, because what is remembered is stored with its group. */
function takeGroup(line: (Waiting | Turn)[]): Waiting[] {
  const group: Waiting[] = [];
  const requestIds = new Set<string>();
  let entries = 0;
  for (const waiting of line) {
    if ("run" in waiting) break;
    const { batch } = waiting;
    entries += entriesIn(batch);
    if (group.length > 0 && (entries > maxGroupEntries || requestIds.has(batch.requestId))) break;
    if (batch.requestId !== "") requestIds.add(batch.requestId);
    group.push(waiting);
  }
  line.splice(0, group.length);
  return group;
}

/** A path in the present tree for each entry of a batch that was stored before. DATA_LOSS where one of them is not in the log, or what is stored does not lead to its root. */
async function placeRemembered(
  store: Pick<LogStore, "logHashes">,
  head: LogHead,
  { firstIndex, count }: LogRequest,
  batch: LogBatch,
): Promise<Uint8Array[]> {
  const lost = () =>
    new KmsError("DATA_LOSS", `log ${head.number} of tenant ${head.tenantId} does not hold a batch that it remembers`);
  if (entriesIn(batch) !== count) throw lost();
  if (count === 0) return [];
  const tree = storedTree((level, tile) => store.logHashes(head, level, tile));
  const paths = await tree.inclusionPaths(firstIndex, count, head.size);
  paths.forEach((path, at) => {
    const leaf = batch.leaves.subarray(at * hashBytes, (at + 1) * hashBytes);
    if (!isIncluded({ leaf, index: firstIndex + at, path }, head)) throw lost();
  });
  return paths;
}
