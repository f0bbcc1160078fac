/**
 * A store as one replica uses it, while replicas of two releases may. It notes that it runs before its first write, and then twice a minute: a
 * start that is refused leaves the store as it was. When it could not for a minute it writes nothing before it has: by then an upgrade may have
 * been finished without it, and rows of its form may be read by nobody.
 */
import { randomBytes } from "node:crypto";
import type { Time } from "../runtime/time.ts";
import type { KmsError } from "../errors.ts";
import { notice, type Problem } from "../notices.ts";
import type { LongRead } from "../store/long-reads.ts";
import type { Asked } from "../store/observed-store.ts";
import type { Store } from "../store/store.ts";
import type { Replica } from "../store/upgrade-store.ts";
import { newestSchema } from "../store/sql/rows/schema.ts";
import { forNewer } from "../store/sql/upgrade/migration.ts";
import { version as release } from "../version.ts";

export interface JoinedStore {
  store: Store;
  /** Why the service is down, if the store is not for its release any more. */
  problems(): Problem[];
  /** Notes that this replica has ended, if it was noted. Where the store is away, others hold it for running a while longer. */
  leave(): Promise<void>;
}

export interface JoinParts {
  /** Called when `problems` has something else to say. */
  changed?: (() => void) | undefined;
  intervalMs?: number;
  time: Time;
}

/** Less than others hold a replica for running: see store/sql/upgrade/replicas.ts. */
const writesForMs = 60_000;
const replicaIdBytes = 16;

/**
 * What a method does: reads, writes, or notes who uses the store, which looks at its release itself. Long reads write
 * nothing. The compiler refuses a store with a method that is not here.
 */
const methods: Readonly<Record<Exclude<Asked, LongRead>, "read" | "write" | "note">> = {
  storeKey: "read",
  replaceStoreKey: "write",
  active: "read",
  get: "read",
  lastVersion: "read",
  insertPending: "write",
  activate: "write",
  update: "write",
  deletePending: "write",
  deletePendingBefore: "write",
  request: "read",
  deleteRequestsBefore: "write",
  destroyable: "read",
  setDestroyWait: "write",
  lease: "write",
  finishLease: "write",
  leaseFinishedAt: "read",
  noteReplica: "note",
  endReplica: "note",
  rewriteRows: "write",
  finishUpgrade: "note",
  upgradeState: "read",
  witnessedTime: "read",
  noteWitnessedTime: "write",
  appendAudit: "write",
  auditHead: "read",
  logHead: "read",
  nextLogNumber: "read",
  createLog: "write",
  appendLog: "write",
  logRequest: "read",
  deleteLogRequestsBefore: "write",
  takeHeads: "read",
  noteHeadsFile: "write",
  acceptRollback: "write",
};

const writes = (Object.keys(methods) as (keyof typeof methods)[]).filter((name) => methods[name] === "write");

type Method = (...args: unknown[]) => Promise<unknown>;

const finished = "The upgrade of the store was finished";

/** Its writes throw STORE_UNAVAILABLE where the store is for newer releases alone. */
export function joinStore(store: Store, parts: JoinParts): JoinedStore {
  const { changed = () => {}, intervalMs = 30_000, time } = parts;
  const replica: Replica = { replicaId: randomBytes(replicaIdBytes).toString("hex"), release, version: newestSchema };
  const never = Number.NEGATIVE_INFINITY;
  let [notedAtMs, notedAtWallMs] = [never, never];
  let refusal: KmsError | undefined;
  let noting: Promise<void> | undefined;

  async function note(): Promise<void> {
    const [beganAtMs, beganAtWallMs] = [time.monotonicMs(), time.now().getTime()];
    const minReader = await store.noteReplica(replica);
    const was = refusal;
    refusal = forNewer(minReader);
    if (refusal === undefined) [notedAtMs, notedAtWallMs] = [beganAtMs, beganAtWallMs];
    if (was?.message !== refusal?.message) changed();
  }

  /** One at a time: who comes meanwhile waits for the one that runs. */
  function noteOnce(): Promise<void> {
    noting ??= note().finally(() => {
      noting = undefined;
    });
    return noting;
  }

  /** The clock that went further counts: the monotonic one may stand still while the machine is suspended, and a wall clock that jumps costs a note. */
  function sinceNotedMs(): number {
    return Math.max(time.monotonicMs() - notedAtMs, time.now().getTime() - notedAtWallMs);
  }

  function fenced(method: Method): Method {
    return async (...args) => {
      if (sinceNotedMs() >= writesForMs) await noteOnce();
      if (refusal !== undefined) throw refusal;
      return method(...args);
    };
  }

  const timer = time.every(intervalMs, () => void noteOnce().catch(() => {})); // health sees that the store is away
  const guarded = writes.map((name) => [name, fenced(store[name] as Method)]);
  return {
    store: { ...store, ...Object.fromEntries(guarded) },
    problems: () => (refusal === undefined ? [] : [tooOld(refusal)]),
    async leave() {
      time.clear(timer);
      await noting?.catch(() => {});
      if (notedAtMs === never) return;
      await store.endReplica(replica.replicaId).catch(() => {});
    },
  };
}

function tooOld({ message }: KmsError): Problem {
  return { status: "down", notice: notice("UPGRADE_FINISHED", `${finished}: ${message}.`, release) };
}
