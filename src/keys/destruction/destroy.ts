/**
 * How a key is destroyed, in order:
 *
 * 1. **Request.** An administrator asks for it, with 7 to 30 days to wait (`scheduleDestruction`).
 * 2. **Second person.** If the policy says `destruction: two-person`, the first call only records a request, and the key stays in use. A
 *    second caller under another rule confirms it within 7 days (two-person.ts).
 * 3. **Last use.** The key is DESTROY_SCHEDULED. Every replica drops its cached secret on the notification, and within 30 s without one
 *    (../keyring.ts). A destroyed signing key has the threads of batch/pool/ overwrite their copies of its seed.
 * 4. **Wait.** Once a minute one replica adds the time that services witnessed (rounds.ts, time-rule.ts). Until the end
 *    `cancelDestruction` keeps the key.
 * 5. **Compare-and-set.** `destroyDue` replaces the record by one without its wrapped secret. The same transaction checks that the wait
 *    was witnessed, and writes the audit row (store/sql/keys.ts, `update`).
 * 6. **Erasure.** SQLite empties its write-ahead log, and writes the file anew if that still holds the bytes (store/sqlite/erasure.ts).
 *    PostgreSQL vacuums the table; its own log and its archives are out of reach. Backups keep their copies: docs/BACKUP.md.
 *
 * The public key and the audit rows stay, so what the key signed still verifies.
 */
import { hasCode, invalidField } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import type { Time } from "../../runtime/time.ts";
import type { KeyRecord } from "../../store/key-record.ts";
import type { KeyName } from "../../store/key-store.ts";
import type { Store } from "../../store/store.ts";
import { serviceName } from "../../version.ts";
import type { ChangeRequest, RecordChanges } from "../record-changes.ts";
import { destructionCancelled, destructionScheduled } from "../states.ts";
import type { TimeWitness } from "./time-witness.ts";
import { daysAfter, destructionByTwo, destructionRequestCancelled } from "./two-person.ts";
import { destroyed, destructionDays, destructionDue, waitEnd } from "./waits.ts";

export interface DestructionOrder extends ChangeRequest {
  days: number;
  orAsRequested?: boolean;
  /** SHA-256 of the caller's static token; undefined if it has another credential. */
  token?: string | undefined;
}

/** Each throws NOT_FOUND for what is not a key of the tenant, KEY_UNUSABLE if the key's state forbids it, CONFLICT after a lost race. */
export interface Destruction {
  /**
   * Destroyed after `days`, 7 to 30. A key that is scheduled keeps its time. Where it takes two, the first call is a request, and
   * `orAsRequested` says that the second takes its days, which INVALID_ARGUMENT would else insist on. CLOCKS_DISAGREE while the wall clock
   * and a second one do.
   */
  scheduleDestruction(request: DestructionOrder): Promise<KeyRecord>;
  /** To DISABLED, or to COMPROMISED if it was marked. Of a key whose destruction was only requested, the request goes. */
  cancelDestruction(request: ChangeRequest): Promise<KeyRecord>;
  /**
   * Destroys the keys whose time has come, by the wall clock and the witnessed time that is noted, at most `limit`, and says how many.
   * A damaged record is left, the others are destroyed, and then it throws that DATA_LOSS.
   */
  destroyDue(limit?: number): Promise<number>;
}

export interface DestructionOptions {
  store: Pick<Store, "witnessedTime" | "destroyable">;
  changes: RecordChanges;
  witness: Pick<TimeWitness, "noteAgreed">;
  time: Time;
  /** Whether a destruction takes two callers now. */
  needsTwo?: (() => boolean) | undefined;
}

const defaultDestroyLimit = 100;

export function createDestruction(options: DestructionOptions): Destruction {
  const { store, changes, witness, time, needsTwo = () => false } = options;
  const { find, replace } = changes;

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
