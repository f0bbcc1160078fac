/**
 * Refusals since the last rows of the audit trail were written. What a refused call names may be made up, so that a flood of made-up names
 * must neither fill the store nor take the names from other rows. Of refusals that anybody can cause (`mayAggregate`) the first names of
 * each caller, action and code in a minute have rows of their own, and the rest is counted without names (aggregated-refusals.ts).
 */
import type { AuditAction, AuditEvent } from "../store/audit-store.ts";
import { aggregatedRefusals, entry, maxActors } from "./aggregated-refusals.ts";
import type { Time, Timer } from "../runtime/time.ts";

/** Names that have rows of their own, a minute, caller, action and code. */
export const maxNames = 16;
/** Most rows with names that are held, of one caller and of all. So many gather only while none can be written; the rest is counted without names. */
export const maxRows = 10_000;
const maxRowsOfAll = 100_000;

export const minuteMs = 60_000;

export interface AuditRefusals {
  /** `tenantId` and `keyId` are empty if the request named none that is well-formed. `rule` let the caller try. */
  refused(
    actor: string,
    action: AuditAction,
    tenantId: string,
    keyId: string,
    outcome: string,
    count?: number,
    rule?: string | undefined,
  ): void;
  /** What is to be written, as rows. */
  take(at: Date): AuditEvent[];
  /** Has a row that `take` gave, and that could not be written, among the next. */
  giveBack(row: AuditEvent): void;
  /** Has `take` give all, what would be written when the minute ends, too. */
  endMinute(): void;
}

export interface AuditRefusalsOptions {
  time: Time;
  /** Called when there is something to be written. */
  onDue: () => void;
}

type Refusal = Omit<AuditEvent, "at" | "requestId">;

export function auditRefusals({ time, onDue }: AuditRefusalsOptions): AuditRefusals {
  const aggregated = aggregatedRefusals(time);
  /** Rows by caller, then by all that tells them apart. */
  let rows = new Map<string, Map<string, Refusal>>();
  let rowCount = 0;
  let first = firstNames();
  let minute: Timer | undefined;

  /** Tells whether there was room for it. */
  function keep(refusal: Refusal): boolean {
    const { actor, action, outcome, tenantId, keyId, rule = "" } = refusal;
    const ofActor = rows.get(actor) ?? new Map<string, Refusal>();
    const name = `${action} ${outcome} ${tenantId} ${keyId} ${rule}`;
    const found = ofActor.get(name);
    if (found !== undefined) {
      found.count += refusal.count;
      return true;
    }
    if (ofActor.size >= maxRows || rowCount >= maxRowsOfAll) return false;
    ofActor.set(name, refusal);
    rows.set(actor, ofActor);
    rowCount += 1;
    onDue();
    return true;
  }

  function endMinute(): void {
    time.clear(minute);
    minute = undefined;
    first = firstNames();
    if (!aggregated.endMinute()) return;
    beginMinute();
    onDue();
  }

  function beginMinute(): void {
    minute ??= time.after(minuteMs, endMinute);
  }

  return {
    refused(actor, action, tenantId, keyId, outcome, count = 1, rule) {
      beginMinute();
      const refusal: Refusal = { actor, action, tenantId, purpose: undefined, keyId, outcome, count, rule };
      const isAggregated = mayAggregate(action, outcome);
      if (isAggregated && !first.hasActor(actor)) refusal.actor = "";
      else if ((!isAggregated || first.has(refusal)) && keep(refusal)) return;
      if (aggregated.add(refusal)) onDue();
    },

    take(at) {
      const taken = [...rows.values()].flatMap((ofActor) => [...ofActor.values()]);
      rows = new Map();
      rowCount = 0;
      return [...taken.map((each) => ({ ...each, at, requestId: "" })), ...aggregated.take()];
    },

    giveBack(row) {
      const { at, requestId, ...refusal } = row;
      if (row.names !== undefined) aggregated.addRow(row);
      else if (!keep(refusal)) aggregated.add(refusal);
      onDue();
    },

    endMinute,
  };
}

/** The names of a minute that have rows, by caller, then by action and code. */
function firstNames() {
  const actors = new Map<string, Map<string, Set<string>>>();
  return {
    /** Tells whether a caller is among those that are told apart, or can be. */
    hasActor: (actor: string) => actors.has(actor) || actors.size < maxActors,

    /** Tells whether the names of a refusal of such a caller have a row, or can have one. */
    has({ actor, action, outcome, tenantId, keyId }: Refusal): boolean {
      const kinds = entry(actors, actor, () => new Map<string, Set<string>>());
      const names = entry(kinds, `${action} ${outcome}`, () => new Set<string>());
      const name = `${tenantId} ${keyId}`;
      if (!names.has(name) && names.size >= maxNames) return false;
      names.add(name);
      return true;
    },
  };
}

/** Uses and looks. An action that is not here is an administrator's. */
const everybodys: ReadonlySet<AuditAction> = new Set([
  "generate_data_key",
  "decrypt_data_key",
  "encrypt_pii",
  "decrypt_pii",
  "re_encrypt_pii",
  "sign_span",
  "verify_span",
  "get_public_keys",
  "read_log",
  "list_keys",
  "list_audit_events",
  "verify_audit",
  "status",
  "validate",
]);

/** The key that was named is none of the tenant's, whatever the action. */
const ofUnknownKeys: ReadonlySet<string> = new Set(["NOT_FOUND", "CIPHERTEXT_REJECTED"]);

/** The tenant that was named is not the caller's, or may be anyone's: a malformed request is refused before anybody looks. */
const ofAnyTenants: ReadonlySet<string> = new Set(["PERMISSION_DENIED", "INVALID_ARGUMENT"]);

/**
 * Decides whether refusals may be counted without the names in them, because anybody could have made these up. `outcome` is the
 * refusal's code. Action and code alone decide: a look-up would be a load that strangers cause, and its time would tell them what
 * there is. Every other refusal has a row with its names, however many there are.
 */
function mayAggregate(action: AuditAction, outcome: string): boolean {
  return ofUnknownKeys.has(outcome) || (ofAnyTenants.has(outcome) && everybodys.has(action));
}
