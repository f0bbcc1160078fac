/**
 * The lives of keys as the audit trail tells them: for each key the rows that changed its state, replayed. What a record says its state
 * is must be what comes out. So a record that is gone, or was put back as it once was, shows, although its HMAC is right.
 */
import type { KeyState, Purpose } from "../keys/record.ts";
import type { Query, Row } from "./sql.ts";
import { pages } from "./sql-copy.ts";
import type { AuditAction } from "./store.ts";

/** One key's life, up to now. */
export interface Life {
  keyId: string;
  tenantId: string;
  purpose: Purpose | undefined;
  /** Any of these may be the state now. */
  states: readonly KeyState[];
  /** Whether a row made the key. */
  born: boolean;
  /** Whether each writer's rows come in the order in which it wrote them. */
  ordered: boolean;
}

interface Before {
  states: readonly KeyState[];
  /** The last state in which the key could be used. */
  usable: KeyState;
  compromised: boolean;
}

/** As keys/transitions.ts has it, in words of the trail. Enabling leads back to ACTIVE only where no other key has become that; the row does not say. */
const after: Partial<Record<AuditAction, (before: Before) => readonly KeyState[]>> = {
  create: () => ["ACTIVE"],
  rotate: () => ["ACTIVE"],
  retire: () => ["RETIRED"],
  disable: () => ["DISABLED"],
  enable: ({ usable }) => (usable === "ACTIVE" ? ["ACTIVE", "RETIRED"] : ["RETIRED"]),
  mark_compromised: ({ states }) => (states.some((state) => ended.includes(state)) ? states : ["COMPROMISED"]),
  schedule_destruction: () => ["DESTROY_SCHEDULED"],
  cancel_destruction: ({ compromised }) => (compromised ? ["COMPROMISED"] : ["DISABLED"]),
  destroy: () => ["DESTROYED"],
};

/** Of a key in one of these only the time of its compromise is noted. */
const ended: readonly KeyState[] = ["DESTROY_SCHEDULED", "DESTROYED"];

const births: readonly unknown[] = ["create", "rotate"] satisfies AuditAction[];

/** By key id. */
export async function* lives(query: Query): AsyncGenerator<Life> {
  const actions = Object.keys(after).map((action) => `'${action}'`);
  const condition = `key_id <> '' and outcome = 'OK' and action in (${actions.join(", ")})`;
  let rows: Row[] = [];
  for await (const page of pages(query, "kms_audit", { order: ["key_id", "id"], condition })) {
    for (const row of page) {
      if (rows.length > 0 && rows[0]!.key_id !== row.key_id) {
        yield replay(rows);
        rows = [];
      }
      rows.push(row);
    }
  }
  if (rows.length > 0) yield replay(rows);
}

function replay(rows: readonly Row[]): Life {
  const before: Before = { states: [], usable: "ACTIVE", compromised: false };
  const sequences = new Map<unknown, number>();
  let ordered = true;
  for (const { action, writer_id, sequence } of rows) {
    before.states = after[action as AuditAction]!(before);
    const [state] = before.states;
    if (state === "ACTIVE" || state === "RETIRED") before.usable = state;
    before.compromised ||= action === "mark_compromised";
    ordered &&= Number(sequence) > (sequences.get(writer_id) ?? 0);
    sequences.set(writer_id, Number(sequence));
  }
  const [first] = rows;
  return {
    keyId: String(first!.key_id),
    tenantId: String(first!.tenant_id),
    purpose: (first!.purpose ?? undefined) as Purpose | undefined,
    states: before.states,
    born: births.includes(first!.action),
    ordered,
  };
}
