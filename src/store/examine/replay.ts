/**
 * The lives of keys as the audit trail tells them: for each key the rows that changed its state, replayed. What a record says its state
 * is must be what comes out. So a record that is gone, or was put back as it once was, shows, although its HMAC is right.
 */
import type { KeyState, Purpose } from "../key-record.ts";
import type { Row } from "../sql/rows/database.ts";
import type { AuditAction } from "../audit-store.ts";

/** One key's life, up to now. */
export interface Life {
  keyId: string;
  tenantId: string;
  purpose: Purpose | undefined;
  /** Any of these may be the state now. */
  states: readonly KeyState[];
  /** Whether a row marked the key as compromised. */
  compromised: boolean;
  /** Whether a row made the key. */
  born: boolean;
  /** Whether each writer's rows come in the order in which it wrote them. */
  ordered: boolean;
  /** What speaks against the order of rows of different writers, if anything does: no HMAC covers that, and clocks of replicas differ. */
  doubt: string | undefined;
}

interface Before {
  states: readonly KeyState[];
  /** The last state in which the key could be used. */
  usable: KeyState;
  compromised: boolean;
}

/**
 * The ways between states, as keys/states.ts has them, in words of the trail. Enabling leads back to ACTIVE only if no other key has
 * become that, which the row does not say.
 */
const after: Partial<Record<AuditAction, (before: Before) => readonly KeyState[]>> = {
  create: () => ["ACTIVE"],
  rotate: () => ["ACTIVE"],
  retire: () => ["RETIRED"],
  disable: () => ["DISABLED"],
  enable: ({ usable }) => (usable === "ACTIVE" ? ["ACTIVE", "RETIRED"] : ["RETIRED"]),
  mark_compromised: ({ states }) => (states.some((state) => ended.includes(state)) ? states : ["COMPROMISED"]),
  request_destruction: ({ states }) => states,
  cancel_destruction_request: ({ states }) => states,
  schedule_destruction: () => ["DESTROY_SCHEDULED"],
  cancel_destruction: ({ compromised }) => (compromised ? ["COMPROMISED"] : ["DISABLED"]),
  destroy: () => ["DESTROYED"],
  rewrap: ({ states }) => states,
};

/** Of a key in one of these only the time of its compromise is noted. */
const ended: readonly KeyState[] = ["DESTROY_SCHEDULED", "DESTROYED"];

const births: readonly unknown[] = ["create", "rotate"] satisfies AuditAction[];

/** Difference that the clocks of replicas may have. */
const clocksApartMs = 60_000;

const stateChanges = Object.keys(after);

/** Whether the audit row is one of those that a life is replayed from. */
export function changesState({ key_id, action, outcome }: Row): boolean {
  return key_id !== "" && outcome === "OK" && stateChanges.includes(String(action));
}

/** `rows` come by id, which no HMAC covers, and are told by their times too, which clocks that differ make wrong: either state may be right. */
export function replay(rows: readonly Row[]): Life {
  const sequences = new Map<unknown, number>();
  let ordered = true;
  for (const { writer_id, sequence } of rows) {
    ordered &&= Number(sequence) > (sequences.get(writer_id) ?? 0);
    sequences.set(writer_id, Number(sequence));
  }
  const timed = byTime(rows);
  const { states, compromised } = outcome(timed);
  const [first] = timed;
  return {
    keyId: String(first!.key_id),
    tenantId: String(first!.tenant_id),
    purpose: (first!.purpose ?? undefined) as Purpose | undefined,
    states: [...new Set([...states, ...outcome(rows).states])],
    compromised,
    born: isBirth(first!),
    ordered,
    doubt: doubtOf(rows, states),
  };
}

function outcome(rows: readonly Row[]): Before {
  const before: Before = { states: [], usable: "ACTIVE", compromised: false };
  for (const { action } of rows) {
    before.states = after[action as AuditAction]!(before);
    const [state] = before.states;
    if (state === "ACTIVE" || state === "RETIRED") before.usable = state;
    before.compromised ||= action === "mark_compromised";
  }
  return before;
}

/** By time, then by writer; but each writer's rows stay in the order in which it wrote them, and a key's birth comes first. */
function byTime(rows: readonly Row[]): Row[] {
  const chains = [...Map.groupBy(rows, ({ writer_id }) => String(writer_id))]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, chain]) => chain.sort((a, b) => Number(b.sequence) - Number(a.sequence)));
  const timed: Row[] = [];
  while (timed.length < rows.length) {
    const left = chains.filter((chain) => chain.length > 0);
    const next = left.reduce((best, chain) => (timeOf(chain.at(-1)!) < timeOf(best.at(-1)!) ? chain : best));
    timed.push(next.pop()!);
  }
  return timed;
}

function timeOf(row: Row): number {
  return isBirth(row) ? Number.NEGATIVE_INFINITY : Number(row.at);
}

function isBirth({ action }: Row): boolean {
  return births.includes(action);
}

function doubtOf(rows: readonly Row[], states: readonly KeyState[]): string | undefined {
  const byId = outcome(rows).states;
  if ([...byId].sort().join() !== [...states].sort().join()) {
    return `the key's audit rows lead to ${states.join(" or ")} by their times, and to ${byId.join(" or ")} by their ids`;
  }
  const newest = new Map<unknown, number>();
  for (const { writer_id, at } of rows) {
    const others = [...newest].filter(([writer]) => writer !== writer_id).map(([, time]) => time);
    if (Math.max(...others) - Number(at) > clocksApartMs)
      return "the key's audit rows come in another order than their times";
    newest.set(writer_id, Math.max(Number(at), newest.get(writer_id) ?? 0));
  }
  return undefined;
}
