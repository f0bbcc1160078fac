/**
 * The states of a key: what each allows, and the ways between them, as pure functions. A way gives the record as it becomes, the same
 * record if it is in the wished state already, or KEY_UNUSABLE. None leads back from COMPROMISED or DESTROYED.
 *
 *   ACTIVE, RETIRED                      -> DISABLED           -> where it was, or RETIRED if another is ACTIVE
 *   ACTIVE, RETIRED, DISABLED            -> COMPROMISED
 *   all of them                          -> DESTROY_SCHEDULED  -> DISABLED, or COMPROMISED if it was marked; or DESTROYED (destruction/)
 *
 * `previousState` is where a key that is DISABLED, or will be after its destruction is cancelled, returns when it is enabled.
 */
import { KmsError } from "../errors.ts";
import type { KeyRecord, KeyState } from "../store/key-record.ts";

/** What a state allows with the secret key. What its signatures are worth is in attestation/verify-span.ts. */
export const allowed: Readonly<Record<KeyState, { protect: boolean; open: boolean | "break-glass" }>> = {
  PENDING: { protect: false, open: false },
  ACTIVE: { protect: true, open: true },
  RETIRED: { protect: false, open: true },
  DISABLED: { protect: false, open: false },
  COMPROMISED: { protect: false, open: "break-glass" }, // for a caller of that role
  DESTROY_SCHEDULED: { protect: false, open: false },
  DESTROYED: { protect: false, open: false },
};

/** The provider's encryption context of a record: rebuilt from the record, never taken from a caller. */
export function recordContext(
  record: Pick<KeyRecord, "tenantId" | "purpose" | "keyId">,
): Readonly<Record<string, string>> {
  return { tenant_id: record.tenantId, purpose: record.purpose, key_id: record.keyId };
}

export function disabled(record: KeyRecord): KeyRecord {
  const { state } = record;
  if (state === "DISABLED") return record;
  if (!isEnabled(record)) throw unusable(record, "does nothing that disabling would stop");
  return { ...record, state: "DISABLED", previousState: state };
}

/** `hasRival`: another key of the tenant and purpose is ACTIVE. */
export function enabled(record: KeyRecord, hasRival: boolean, at: Date): KeyRecord {
  if (isEnabled(record)) return record;
  if (record.state === "DESTROY_SCHEDULED") throw unusable(record, "cancel its destruction first");
  if (record.state !== "DISABLED" || record.compromisedAt) throw unusable(record, "is not to be used again");
  const back = { ...record, previousState: undefined };
  if (record.previousState === "ACTIVE" && !hasRival) return { ...back, state: "ACTIVE" };
  return { ...back, state: "RETIRED", retiredAt: record.retiredAt ?? at };
}

/** Of a key that is, or will be, destroyed only the time is noted: it must not come back, and its signatures count no more. */
export function compromised(record: KeyRecord, at: Date): KeyRecord {
  const { state, compromisedAt } = record;
  if (compromisedAt !== undefined) return record;
  if (state === "DESTROY_SCHEDULED" || state === "DESTROYED") return { ...record, compromisedAt: at };
  return { ...record, state: "COMPROMISED", compromisedAt: at, previousState: state };
}

/** Adds no wait: destruction/destroy.ts does, for a key that becomes scheduled only now. */
export function destructionScheduled(record: KeyRecord, destroyAt: Date): KeyRecord {
  const { state } = record;
  if (state === "DESTROY_SCHEDULED") return record;
  if (state === "DESTROYED") throw unusable(record, "is gone for good");
  return {
    ...record,
    state: "DESTROY_SCHEDULED",
    destroyAt,
    previousState: isEnabled(record) ? state : record.previousState,
    destruction: undefined,
  };
}

export function destructionCancelled(record: KeyRecord): KeyRecord {
  const { state, compromisedAt } = record;
  if (state === "DISABLED" || state === "COMPROMISED") return record;
  if (state === "DESTROYED") throw unusable(record, "is gone for good");
  if (state !== "DESTROY_SCHEDULED") throw unusable(record, "its destruction is not scheduled");
  const back = compromisedAt ? "COMPROMISED" : "DISABLED";
  return { ...record, state: back, destroyAt: undefined, destroyWait: undefined, destruction: undefined };
}

function isEnabled({ state }: KeyRecord): boolean {
  const states: readonly KeyState[] = ["ACTIVE", "RETIRED"];
  return states.includes(state);
}

function unusable({ keyId, state }: KeyRecord, what: string): KmsError {
  return new KmsError("KEY_UNUSABLE", `key ${keyId} is ${state}: ${what}`);
}
