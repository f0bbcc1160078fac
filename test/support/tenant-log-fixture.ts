/** A tenant's log as the service keeps it: the real sequencer, store, keys and threads. */
import { hash } from "node:crypto";
import { afterEach } from "vitest";
import type { LogBatch } from "../../src/batch/enter.ts";
import { createBatchPool } from "../../src/batch/pool/pool.ts";
import { createHandovers } from "../../src/tenant-log/handover.ts";
import { createHeads } from "../../src/tenant-log/heads.ts";
import { createSequencer, type Placed } from "../../src/tenant-log/sequencer.ts";
import { parseCheckpoint } from "../../src/tlog/checkpoint.ts";
import { inclusionPath } from "../../src/tlog/proof-writer.ts";
import { hashBytes } from "../../src/tlog/merkle.ts";
import { isIncluded } from "../../src/tlog/verify-proof.ts";
import { parseNote, signersOf } from "../../src/tlog/signed-note.ts";
import type { Store } from "../../src/store/store.ts";
import type { Time } from "../../src/runtime/time.ts";
import { batchOf, spansFrom } from "./made-batches.ts";
import { setUp } from "./keys-fixture.ts";
import { wallTime } from "./wall-time.ts";

export const tenant = "acme";
export const issuer = "kms.example.com";
const caller = { name: "ann", has: () => false };

/** A batch that has its place, with the leaf hashes of its entries. */
export interface Appended extends Placed {
  leaves: Uint8Array;
}

interface ReplicaParts extends Partial<Pick<ReturnType<typeof setUp>, "store" | "provider">> {
  /** Pause before the next try. None unless given: over a store in this process the others go on at once. */
  sleep?: Time["sleep"];
}

/** A replica, over a store of its own unless another's is given. */
export function replica({ sleep = async () => {}, ...parts }: ReplicaParts = {}) {
  const pool = createBatchPool({ threads: 1 });
  const set = setUp({ ...parts, handover: (...given) => handover(...given) });
  const { store, keyring, time } = set;
  const appends: number[] = [];
  const counted: Store = {
    ...store,
    async appendLog(append) {
      await store.appendLog(append);
      appends.push(append.next.size - append.expect.size);
    },
  };
  const clock = () => new Date(time.start + time.ms);
  const heads = createHeads({ store: counted, issuer, time: wallTime(clock) });
  const sequencer = createSequencer({
    store: counted,
    heads,
    keys: keyring,
    pool,
    time: { ...wallTime(clock), sleep },
  });
  const handover = createHandovers({ store, heads, sequencer, keys: keyring, pool, time: wallTime(clock) });

  /** As SignSpans does it: spans number `from` to before `to`. */
  async function append(from: number, to: number, requestId = "", spans = spansFrom(from, to)): Promise<Appended> {
    let leaves = new Uint8Array();
    async function enterAndKeep(signedAtMs: number): Promise<LogBatch> {
      const batch = await pool.enter(batchOf(spans), { tenant, requestId, signedAtMs });
      leaves = Uint8Array.from(batch.leaves); // the sequencer gives them back
      return batch;
    }
    const placed = await sequencer.append(tenant, await enterAndKeep(clock().getTime()), enterAndKeep, caller);
    return { ...placed, leaves };
  }

  function enter(from: number, to: number): Promise<LogBatch> {
    return pool.enter(batchOf(spansFrom(from, to)), { tenant, requestId: "", signedAtMs: clock().getTime() });
  }

  return { ...set, appends, append, enter, heads, sequencer, close: () => pool.close() };
}

/** Makes replicas that end with their test. */
export function replicas(): typeof replica {
  const open: ReturnType<typeof replica>[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });
  return (...given) => {
    const made = replica(...given);
    open.push(made);
    return made;
  };
}

/** The checkpoint of a note, if one of these public keys signed it under its origin and none of them wrongly. */
export function checkpointOf(text: string, ...publicKeys: Uint8Array[]) {
  const note = parseNote(text)!;
  const checkpoint = parseCheckpoint(note.text)!;
  const keys = publicKeys.map((publicKey) => ({ name: checkpoint.origin, publicKey }));
  return signersOf(note, keys)?.length === keys.length ? checkpoint : undefined;
}

/** Whether each entry of a batch is where it is said to be, in the tree of its checkpoint. */
export function isProven({ place, ...batch }: Appended, publicKey: Uint8Array): boolean {
  const checkpoint = checkpointOf(place.checkpoint, publicKey);
  const { siblings, firstIndex } = place;
  return leavesOf(batch).every((leaf, at) => {
    const path = "nodes" in siblings ? inclusionPath(siblings, firstIndex + at) : siblings[at]!;
    return checkpoint !== undefined && isIncluded({ leaf, index: firstIndex + at, path }, checkpoint);
  });
}

export function leavesOf({ leaves }: Pick<Appended, "leaves">): Uint8Array[] {
  return Array.from({ length: leaves.length / hashBytes }, (_, at) =>
    leaves.slice(at * hashBytes, (at + 1) * hashBytes),
  );
}

/** The leaf hashes of a log, from its entries. */
export async function storedLeaves(store: Store, size: number): Promise<string[]> {
  const bundles = await Promise.all(
    Array.from({ length: Math.ceil(size / 256) }, (_, bundle) =>
      store.logEntries({ tenantId: tenant, number: 1 }, bundle),
    ),
  );
  return bundles.flatMap((bundle) => {
    const leaves: string[] = [];
    for (let at = 0; at < bundle.length; ) {
      const end = at + 2 + bundle[at]! * 256 + bundle[at + 1]!;
      leaves.push(hash("sha256", Buffer.concat([Buffer.of(0), bundle.subarray(at + 2, end)]), "hex"));
      at = end;
    }
    return leaves;
  });
}
