/**
 * What happened since the last rows of the audit trail were written: uses and refusals, counted where they are alike. A use of a key
 * costs a few look-ups and no object, because every call that uses a key pays for it.
 */
import type { Purpose } from "../store/key-record.ts";
import type { AuditAction, AuditEvent } from "../store/audit-store.ts";

/** Refusals, and looks, that are told apart until they are written: tenants and keys in them are whatever a caller wrote. */
export const maxRefusals = 1_000;

export interface AuditCounters {
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
  /** Past `maxRefusals` without tenant, key and rule: of those remain as many as there are callers, actions and outcomes. */
  refused(
    actor: string,
    action: AuditAction,
    tenantId: string,
    keyId: string,
    outcome: string,
    count?: number,
    rule?: string | undefined,
  ): void;
  /** All that was counted, as rows; counting starts again at nothing. */
  take(at: Date): AuditEvent[];
}

type Counted = Pick<AuditEvent, "actor" | "action" | "tenantId" | "purpose" | "keyId" | "outcome" | "count" | "rule">;
/** By action, then by key: an id is one key's in the whole store. Without a key, by tenant. */
type Uses = Map<AuditAction, Map<string, Counted>>;

/** `onFirst` is called when something is counted after nothing was. */
export function auditCounters(onFirst: () => void): AuditCounters {
  /** Counts by caller, then by rule. */
  let uses = new Map<string, Map<string | undefined, Uses>>();
  let refusals = new Map<string, Counted>();
  // Most services have one caller, or one busy one, and it one rule.
  let lastActor: string | undefined;
  let lastRule: string | undefined;
  let lastUses: Uses = new Map();

  function began(): void {
    if (uses.size === 0 && refusals.size === 0) onFirst();
  }

  function usesOf(actor: string, rule: string | undefined): Uses {
    let byRule = uses.get(actor);
    if (byRule === undefined) {
      began();
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
    used(actor, action, tenantId, keyId, purpose, count, rule) {
      const byAction = actor === lastActor && rule === lastRule ? lastUses : usesOf(actor, rule);
      let byKey = byAction.get(action);
      if (byKey === undefined) {
        byKey = new Map();
        byAction.set(action, byKey);
      }
      if (keyId === "" && byKey.size >= maxRefusals && !byKey.has(tenantId)) tenantId = "";
      const subject = keyId === "" ? tenantId : keyId;
      const counted = byKey.get(subject);
      if (counted !== undefined) counted.count += count;
      else byKey.set(subject, { actor, action, tenantId, purpose, keyId, outcome: "OK", count, rule });
    },

    refused(actor, action, tenantId, keyId, outcome, count = 1, rule) {
      // The caller's name last: the others hold no space.
      let name = `${action} ${outcome} ${tenantId} ${keyId} ${rule ?? ""} ${actor}`;
      let counted = refusals.get(name);
      if (counted === undefined && refusals.size >= maxRefusals) {
        tenantId = keyId = "";
        rule = undefined;
        name = `${action} ${outcome}    ${actor}`;
        counted = refusals.get(name);
      }
      if (counted !== undefined) {
        counted.count += count;
        return;
      }
      began();
      refusals.set(name, { actor, action, tenantId, purpose: undefined, keyId, outcome, count, rule });
    },

    take(at) {
      const counted = [...uses.values()]
        .flatMap((byRule) => [...byRule.values()])
        .flatMap((byAction) => [...byAction.values()])
        .flatMap((byKey) => [...byKey.values()]);
      counted.push(...refusals.values());
      uses = new Map();
      refusals = new Map();
      lastActor = undefined;
      return counted.map((each) => ({ ...each, at, requestId: "" }));
    },
  };
}
