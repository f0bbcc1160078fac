/**
 * A store as one replica uses it, while replicas of two releases may. It notes that it runs before its first write, and then twice a minute: a
 * start that is refused leaves the store as it was. When it could not for a minute it writes nothing before it has: by then an upgrade may have
 * been finished without it, and rows of its form may be read by nobody.
 */
import { randomBytes } from "node:crypto";
import type { KmsError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Replica } from "../store/upgrade-store.ts";
import { newestSchema } from "../store/sql/rows/schema.ts";
import { forNewer } from "../store/sql/upgrade/migration.ts";
import { version as release } from "../version.ts";

export interface JoinedStore {
  store: Store;
  /** Why the service is down, if the store is not for its release any more. */
  problems(): { status: "down"; notice: string }[];
  /** Notes that this replica has ended, if it was noted. Where the store is away, others hold it for running a while longer. */
  leave(): Promise<void>;
}

export interface JoinParts {
  /** Called when `problems` has something else to say. */
  changed?: (() => void) | undefined;
  intervalMs?: number;
  /** Monotonic milliseconds. */
  now?: () => number;
}

/** Less than others hold a replica for running: see store/sql/upgrade/replicas.ts. */
const writesForMs = 60_000;
const replicaIdBytes = 16;

/** What changes the store, but for the notes of replicas themselves. */
const writes = [
  "replaceStoreKey",
  "insertPending",
  "activate",
  "update",
  "deletePending",
  "deletePendingBefore",
  "deleteRequestsBefore",
  "setDestroyWait",
  "lease",
  "finishLease",
  "noteWitnessedTime",
  "appendAudit",
  "createLog",
  "appendLog",
  "deleteLogRequestsBefore",
  "noteHeadsFile",
  "acceptRollback",
  "rewriteRows",
] as const satisfies readonly (keyof Store)[];

type Method = (...args: unknown[]) => Promise<unknown>;

const finished = "The upgrade of the store was finished";

/** Its writes throw STORE_UNAVAILABLE where the store is for newer releases alone. */
export function joinStore(store: Store, parts: JoinParts = {}): JoinedStore {
  const { changed = () => {}, intervalMs = 30_000, now = () => performance.now() } = parts;
  const replica: Replica = { replicaId: randomBytes(replicaIdBytes).toString("hex"), release, version: newestSchema };
  let notedAtMs = Number.NEGATIVE_INFINITY;
  let refusal: KmsError | undefined;
  let noting: Promise<void> | undefined;

  async function note(): Promise<void> {
    const beganAtMs = now();
    const minReader = await store.noteReplica(replica);
    const was = refusal;
    refusal = forNewer(minReader);
    if (refusal === undefined) notedAtMs = beganAtMs;
    if (was?.message !== refusal?.message) changed();
  }

  /** One at a time: who comes meanwhile waits for the one that runs. */
  function noteOnce(): Promise<void> {
    noting ??= note().finally(() => {
      noting = undefined;
    });
    return noting;
  }

  function fenced(method: Method): Method {
    return async (...args) => {
      if (now() - notedAtMs >= writesForMs) await noteOnce();
      if (refusal !== undefined) throw refusal;
      return method(...args);
    };
  }

  const timer = setInterval(() => void noteOnce().catch(() => {}), intervalMs).unref(); // health sees that the store is away
  const guarded = writes.map((name) => [name, fenced(store[name] as Method)]);
  return {
    store: { ...store, ...Object.fromEntries(guarded) },
    problems: () => (refusal === undefined ? [] : [{ status: "down", notice: `${finished}: ${refusal.message}.` }]),
    async leave() {
      clearInterval(timer);
      await noting?.catch(() => {});
      if (notedAtMs === Number.NEGATIVE_INFINITY) return;
      await store.endReplica(replica.replicaId).catch(() => {});
    },
  };
}
