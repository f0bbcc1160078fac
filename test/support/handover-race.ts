/** Races of replicas for one signing key, and what must hold of the log after them. */
import { expect } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { parseTlogProof } from "../../src/tlog/inclusion-proof.ts";
import { emptyTree, growTree, leafHash } from "../../src/tlog/merkle.ts";
import { isIncluded } from "../../src/tlog/verify-proof.ts";
import { realTime } from "../../src/runtime/time.ts";
import { checkpointOf, type replica, storedLeaves, tenant } from "./tenant-log-fixture.ts";

type Replica = ReturnType<typeof replica>;

export interface Race {
  /** One a replica; replicas in one process may share a store. */
  stores: readonly Store[];
  /** How often all replicas rotate the key at once. */
  rounds: number;
}

const spansABatch = 5;

/** Has all replicas rotate the key and append a batch at once, again and again, and expects the log to name the keys that came into use alone. */
export async function expectChainAfterRace(started: typeof replica, { stores, rounds }: Race): Promise<void> {
  const logs = await startedOver(started, stores);
  const { won, batches } = await race(logs, rounds);
  const store = stores[0]!;
  const [keys, handovers, head] = await Promise.all([
    store.list(tenant, "signing"),
    store.logHandovers(tenant),
    store.logHead(tenant),
  ]);
  const unused = handovers.filter(({ proof }) => proof === "");
  console.log(
    `${stores.length} replicas rotated ${rounds} times: ${keys.length} keys, ${handovers.length} handovers, ${unused.length} of them not used`,
  );
  expect(unused).toEqual([]);
  expect(keys).toHaveLength(won + 1);
  expect(handovers.map(({ fromKeyId }) => fromKeyId)).toEqual(keys.slice(0, -1).map(({ keyId }) => keyId));
  expect(handovers.map(({ toKeyId }) => toKeyId)).toEqual(keys.slice(1).map(({ keyId }) => keyId));
  expect(head!.size).toBe(batches * spansABatch + won);
  const leaves = await storedLeaves(store, head!.size);
  const { root } = growTree(emptyTree, Buffer.from(leaves.join(""), "hex"));
  expect(Buffer.from(root)).toEqual(Buffer.from(head!.root));
  const wrong = handovers.filter(({ entry, proof, index }, at) => {
    const { checkpoint, path } = parseTlogProof(proof)!;
    const tree = checkpointOf(checkpoint, keys[at]!.publicKey, keys[at + 1]!.publicKey);
    const leaf = Buffer.from(leafHash(entry));
    return leaves[index] !== leaf.toString("hex") || !tree || !isIncluded({ leaf, index, path }, tree);
  });
  expect(wrong).toEqual([]);
}

/** Starts a replica over each store, and begins the log. */
async function startedOver(started: typeof replica, [first, ...others]: readonly Store[]): Promise<Replica[]> {
  const { sleep } = realTime; // without pauses one of them could always be too late
  const one = started({ store: first!, sleep });
  await one.append(0, spansABatch);
  return [one, ...others.map((store) => started({ store, provider: one.provider, sleep }))];
}

/** Counts the rotations that won, of which the others learnt, and all batches. */
async function race(logs: readonly Replica[], rounds: number): Promise<{ won: number; batches: number }> {
  let [won, batches] = [0, 1];
  for (let round = 0; round < rounds; round += 1) {
    const appending = logs.map((log) => {
      const first = batches * spansABatch;
      batches += 1;
      return log.append(first, first + spansABatch);
    });
    const rotate = ({ keyring }: Replica) => keyring.rotate({ tenantId: tenant, purposes: ["signing"], force: true });
    const results = await Promise.all(logs.map(rotate));
    await Promise.all(appending);
    const failed = results.flatMap((each) => each.failed);
    expect(failed.filter(({ error }) => error.code !== "CONFLICT")).toEqual([]);
    won += results.flatMap(({ rotated }) => rotated).length;
  }
  return { won, batches };
}
