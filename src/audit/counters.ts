/**
 * What happened since the last rows of the audit trail were written: uses and looks, counted where they are alike, and refusals
 * (refusals.ts). To count a use costs a few look-ups and no object, because every call that uses a key pays for it.
 */
import type { Time } from "../runtime/time.ts";
import type { Purpose } from "../store/key-record.ts";
import type { AuditAction, AuditEvent } from "../store/audit-store.ts";
import { type AuditRefusals, auditRefusals } from "./refusals.ts";

/** Tenants of looks that are told apart until they are written, of one caller and action: a caller with a role for all tenants may name any. */
export const maxTenants = 1_000;

export interface AuditCounters extends AuditRefusals {
  /** Positional, because an object a call would cost more than the counting. `keyId` is empty for what uses no single key. */
  used(
    actor: string,
    action: AuditAction,
    tenantId: string,
    keyId: string,
    purpose: Purpose | undefined,
    count: number,
    rule?: string | undefined,
  ): void;
}

type Counted = Pick<AuditEvent, "actor" | "action" | "tenantId" | "purpose" | "keyId" | "outcome" | "count" | "rule">;
/** By action, then by key: an id is one key's in the whole store. Without a key, by tenant. */
type Uses = Map<AuditAction, Map<string, Counted>>;

/** `onDue` is called when there is something to be written. */
export function auditCounters(onDue: () => void, time: Time): AuditCounters {
  /** Counts by caller, then by rule. */
  let uses = new Map<string, Map<string | undefined, Uses>>();
  const refusals = auditRefusals({ time, onDue });
  // Most services have one caller, or one busy one, and it one rule.
  let lastActor: string | undefined;
  let lastRule: string | undefined;
  let lastUses: Uses = new Map();

  function usesOf(actor: string, rule: string | undefined): Uses {
    let byRule = uses.get(actor);
    if (byRule === undefined) {
      if (uses.size === 0) onDue();
      byRule = new Map();
      uses.set(actor, byRule);
    }
    let found = byRule.get(rule);
    if (found === undefined) {
      found = new Map();
      byRule.set(rule, found);
    }
    lastActor = actor;
    lastRule = rule;
    lastUses = found;
    return found;
  }

  return {
    ...refusals,

    used(actor, action, tenantId, keyId, purpose, count, rule) {
      const byAction = actor === lastActor && rule === lastRule ? lastUses : usesOf(actor, rule);
      let byKey = byAction.get(action);
      if (byKey === undefined) {
        byKey = new Map();
        byAction.set(action, byKey);
      }
      if (keyId === "" && byKey.size >= maxTenants && !byKey.has(tenantId)) tenantId = "";
      const subject = keyId === "" ? tenantId : keyId;
      const counted = byKey.get(subject);
      if (counted !== undefined) counted.count += count;
      else byKey.set(subject, { actor, action, tenantId, purpose, keyId, outcome: "OK", count, rule });
    },

    take(at) {
      const counted = [...uses.values()]
        .flatMap((byRule) => [...byRule.values()])
        .flatMap((byAction) => [...byAction.values()])
        .flatMap((byKey) => [...byKey.values()]);
      uses = new Map();
      lastActor = undefined;
      return [...counted.map((each) => ({ ...each, at, requestId: "" })), ...refusals.take(at)];
    },
  };
}
