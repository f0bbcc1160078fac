/**
 * What an administrator, and time, do to a key: see states.ts for the states. A change is a compare-and-set of the whole record with
 * its audit row; whoever loses one gets CONFLICT and may ask again, because a key that is in the wished state is answered as it is.
 */
import { hasCode, invalidField, KmsError, type KmsErrorCode } from "../errors.ts";
import { step } from "../failpoints.ts";
import type { Attribution, StateAction } from "../store/audit-store.ts";
import type { KeyName, StateChange } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";
import { serviceName } from "../version.ts";
import type { KeyRecord } from "../store/key-record.ts";
import { daysAfter, destructionByTwo, destructionRequestCancelled } from "./destruction.ts";
import {
  compromised,
  destroyed,
  destructionCancelled,
  destructionDue,
  destructionScheduled,
  disabled,
  enabled,
  waitEnd,
} from "./states.ts";
import { destructionDays } from "./time/destruction-waits.ts";
import type { TimeWitness } from "./time/time-witness.ts";
import type { Time } from "../runtime/time.ts";

export interface ChangeRequest {
  tenantId: string;
  keyId: string;
  by: Attribution;
}

export interface DestructionOrder extends ChangeRequest {
  days: number;
  orAsRequested?: boolean;
  /** SHA-256 of the caller's static token; undefined if it has another credential. */
  token?: string | undefined;
}

/** Each throws NOT_FOUND for what is not a key of the tenant, KEY_UNUSABLE where the key's state forbids it, CONFLICT after a lost race. */
export interface Lifecycle {
  disable(request: ChangeRequest): Promise<KeyRecord>;
  /** Back to where it was, or RETIRED if another key is ACTIVE. */
  enable(request: ChangeRequest): Promise<KeyRecord>;
  /**
   * An ACTIVE key is replaced in the same transaction; `replacement` is undefined where none was needed, or where the provider could not
   * make one in 2 s, or before the caller hung up: then the tenant has no ACTIVE key until it is rotated. The key is marked all the same.
   */
  markCompromised(request: ChangeRequest, signal?: AbortSignal): Promise<CompromisedKey>;
  /**
   * Destroyed after `days`, 7 to 30. A key that is scheduled keeps its time. Where it takes two, see destruction.ts: the first call is a
   * request, and `orAsRequested` says that the second takes its days, which INVALID_ARGUMENT would else insist on. CLOCKS_DISAGREE while
   * the wall clock and a second one do.
   */
  scheduleDestruction(request: DestructionOrder): Promise<KeyRecord>;
  /** To DISABLED, or to COMPROMISED if it was marked. Of a key whose destruction was only requested, the request goes. */
  cancelDestruction(request: ChangeRequest): Promise<KeyRecord>;
  /**
   * Call once a minute or so: destroys the keys whose time has come, by the wall clock and the witnessed time that is noted, at most
   * `limit`, and says how many. A damaged record is left, the others are destroyed, and then it throws that DATA_LOSS.
   */
  destroyDue(limit?: number): Promise<number>;
}

export interface CompromisedKey {
  record: KeyRecord;
  replacement: KeyRecord | undefined;
}

export interface LifecycleOptions {
  store: Store;
  /** Makes what takes the place of a compromised key, which vouches for no other: no log names it. */
  keyring: Pick<Keyring, "renew" | "invalidate" | "noticed">;
  witness: Pick<TimeWitness, "noteAgreed">;
  time: Time;
  /** Whether a destruction takes two callers now. */
  needsTwo?: () => boolean;
}

export const defaultDestroyLimit = 100;
/** How long the mark waits for a replacement. */
export const replacementMs = 2_000;

/** They leave a key as it is, and its cached secret in use: nobody may stop a tenant by them whose provider is away. */
const requests: readonly StateAction[] = ["request_destruction", "cancel_destruction_request"];

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { store, keyring, witness, time, needsTwo = () => false } = options;

  async function find({ tenantId, keyId }: Pick<ChangeRequest, "tenantId" | "keyId">): Promise<KeyRecord> {
    const record = await store.get(tenantId, keyId);
    if (record !== undefined && record.state !== "PENDING") return record;
    throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no key ${keyId}`);
  }

  /** No change, and no audit row, where a transition gave the record itself back. */
  async function replace(present: KeyRecord, next: KeyRecord, change: Omit<StateChange, "at">): Promise<KeyRecord> {
    if (next === present) return present;
    try {
      await store.update(present, next, { ...change, at: time.now() });
      step("state.changed");
      return next;
    } finally {
      // Whatever came of it: the record is not what was believed, or may be.
      const { tenantId, keyId, state } = present;
      if (requests.includes(change.action)) keyring.noticed(tenantId, keyId, state);
      else keyring.invalidate(tenantId, keyId);
    }
  }

  async function change(request: ChangeRequest, action: StateAction, next: (present: KeyRecord) => KeyRecord) {
    const present = await find(request);
    return replace(present, next(present), { ...request.by, action });
  }

  async function tryEnable(request: ChangeRequest): Promise<KeyRecord> {
    const present = await find(request);
    const active = await store.active(present.tenantId, present.purpose);
    return replace(present, enabled(present, active !== undefined, time.now()), { ...request.by, action: "enable" });
  }

  async function replaceCompromised(present: KeyRecord, by: Attribution, signal?: AbortSignal) {
    const { tenantId, purpose, keyId } = present;
    const wish = { tenantId, purpose, expect: { active: keyId }, outgoing: "COMPROMISED", by } as const;
    const tooLate = new AbortController();
    const timer = time.after(replacementMs, () => tooLate.abort());
    const replacement = await keyring
      .renew(wish, signal ? AbortSignal.any([signal, tooLate.signal]) : tooLate.signal)
      .catch((error) => {
        keyring.invalidate(tenantId, keyId); // it may have been stored nevertheless
        throw error;
      })
      .finally(() => time.clear(timer));
    step("state.changed");
    return { record: await find({ tenantId, keyId }), replacement };
  }

  /** Gives a record that becomes scheduled its wait, which counts what services witness from this moment. */
  async function awaited(present: KeyRecord, next: KeyRecord, waitMs: number): Promise<KeyRecord> {
    if (next === present || next.state !== "DESTROY_SCHEDULED") return next;
    const { witnessedMs: sinceMs } = await witness.noteAgreed();
    return { ...next, destroyWait: { sinceMs, waitMs } };
  }

  async function destroy(name: KeyName, witnessedMs: number): Promise<boolean> {
    const present = await find(name);
    const at = time.now();
    const next = destroyed(present, at, witnessedMs);
    if (next === undefined) return false;
    const leastWitnessedMs = waitEnd(present.destroyWait!, present.destroyAt, at);
    try {
      await replace(present, next, { action: "destroy", actor: serviceName, requestId: "", leastWitnessedMs });
    } catch (error) {
      if (hasCode(error, "CONFLICT")) return false; // another replica did it, or it was cancelled
      throw error;
    }
    step("destruction.stored");
    return true;
  }

  return {
    disable: (request) => change(request, "disable", disabled),

    async enable(request) {
      try {
        return await tryEnable(request);
      } catch (error) {
        // Another key became ACTIVE in between, or this one was changed: once more, by what is stored now.
        if (hasCode(error, "CONFLICT")) return tryEnable(request);
        throw error;
      }
    },

    async markCompromised(request, signal) {
      const present = await find(request);
      if (present.state === "ACTIVE") {
        try {
          return await replaceCompromised(present, request.by, signal);
        } catch (error) {
          if (!hasCode(error, ...noReplacement)) throw error;
        }
      }
      const marked = compromised(present, time.now());
      if (marked === present) return { record: present, replacement: await replacementOf(store, present) };
      const record = await replace(present, marked, { ...request.by, action: "mark_compromised" });
      return { record, replacement: undefined };
    },

    async scheduleDestruction({ days, orAsRequested = false, token, ...request }) {
      const { least, most } = destructionDays;
      if (!Number.isInteger(days) || days < least || days > most) throw invalidField("days", `is ${least} to ${most}`);
      const at = time.now();
      const { actor, rule } = request.by;
      const present = await find(request);
      const { next, action } = needsTwo()
        ? destructionByTwo(present, { by: actor, rule, token, at, days, orAsRequested })
        : { next: destructionScheduled(present, daysAfter(at, days)), action: "schedule_destruction" as const };
      const waitMs = (next.destroyAt?.getTime() ?? 0) - at.getTime();
      return replace(present, await awaited(present, next, waitMs), { ...request.by, action });
    },

    async cancelDestruction(request) {
      const present = await find(request);
      if (present.destruction?.request === undefined) {
        return replace(present, destructionCancelled(present), { ...request.by, action: "cancel_destruction" });
      }
      const next = destructionRequestCancelled(present);
      return replace(present, next, { ...request.by, action: "cancel_destruction_request" });
    },

    async destroyDue(limit = defaultDestroyLimit) {
      const { noted } = await store.witnessedTime();
      if (noted === undefined) return 0;
      const due = await store.destroyable(destructionDue(time.now(), noted.witnessedMs), limit);
      // Together, so that a store that reads its file to erase them reads it once.
      const outcomes = await Promise.allSettled(due.map((name) => destroy(name, noted.witnessedMs)));
      const failed = outcomes.find(({ status }) => status === "rejected");
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
      return outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value).length;
    },
  };
}

/** The provider makes no key now, or not in the caller's time or ours. The mark must not wait for it. */
const noReplacement: readonly KmsErrorCode[] = [
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_DENIED",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
];

/** For a call that is tried again: what took the place of a key that was ACTIVE when it was marked. */
async function replacementOf(store: Store, marked: KeyRecord): Promise<KeyRecord | undefined> {
  const { tenantId, purpose, state, previousState } = marked;
  return state === "COMPROMISED" && previousState === "ACTIVE" ? store.active(tenantId, purpose) : undefined;
}
