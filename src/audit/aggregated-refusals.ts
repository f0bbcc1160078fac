/**
 * Refusals that have no row of their own, in one row a caller, action and code. The row says how many refusals and distinct names there were,
 * the tenant if all named the same one, and when the first and the last happened. It is due with its first refusal, and then every minute.
 */
import type { Time } from "../runtime/time.ts";
import type { AuditAction, AuditEvent } from "../store/audit-store.ts";

/** Callers that are told apart. */
export const maxActors = 1_000;
/** Names that are remembered to be counted once, of one row and of all. */
export const maxNamesOfRow = 1_000;
const maxNamesOfAll = 100_000;

/** Texts of `detail`: of a row that is not of one caller, and of one whose `names` are not all. */
export const manyCallers = `of callers past the first ${maxActors}`;
export const moreNames = "at least so many names";

type Refusal = Pick<AuditEvent, "actor" | "action" | "outcome" | "tenantId" | "keyId" | "count">;

export interface AggregatedRefusals {
  /** Returns whether there is now something to be written. */
  add(refusal: Refusal): boolean;
  /** Adds what is in a row that `take` gave. Nobody knows which of its names came again since: `names` is then a least number. */
  addRow(row: AuditEvent): void;
  /** What is to be written, as rows. */
  take(): AuditEvent[];
  /** Has `take` give all that is there. Returns whether anything was in this minute. */
  endMinute(): boolean;
}

interface Row {
  actor: string;
  action: AuditAction;
  outcome: string;
  isDue: boolean;
  /** Undefined if nothing came since the last row. */
  tally: Tally | undefined;
}

interface Tally {
  /** The tenant that all refusals named; empty if they named several. */
  tenantId: string;
  count: number;
  firstAt: Date;
  lastAt: Date;
  names: Set<string>;
  /** Names of a row that was given back. */
  earlierNames: number;
  hasMore: boolean;
}

export function aggregatedRefusals(time: Time): AggregatedRefusals {
  /** Rows by caller, then by action and code. The empty name has the rows of callers past the first ones. */
  const rows = new Map<string, Map<string, Row>>();
  let remembered = 0;

  function rowOf({ actor, action, outcome }: Pick<Refusal, "actor" | "action" | "outcome">): Row {
    const named = rows.has(actor) || rows.size < maxActors ? actor : "";
    const ofActor = entry(rows, named, () => new Map<string, Row>());
    const made = (): Row => ({ actor: named, action, outcome, isDue: true, tally: undefined });
    return entry(ofActor, `${action} ${outcome}`, made);
  }

  function remember(tally: Tally, name: string): void {
    if (tally.names.has(name)) return;
    if (tally.names.size >= maxNamesOfRow || remembered >= maxNamesOfAll) {
      tally.hasMore = true;
      return;
    }
    tally.names.add(name);
    remembered += 1;
  }

  return {
    add(refusal) {
      const row = rowOf(refusal);
      const at = time.now();
      row.tally ??= emptyTally(refusal.tenantId, at, at);
      if (refusal.tenantId !== row.tally.tenantId) row.tally.tenantId = "";
      row.tally.lastAt = at;
      row.tally.count += refusal.count;
      if (refusal.tenantId !== "" || refusal.keyId !== "") remember(row.tally, `${refusal.tenantId} ${refusal.keyId}`);
      return row.isDue;
    },

    addRow({ at, firstAt = at, count, names = 0, detail = "", ...refusal }) {
      const row = rowOf(refusal);
      row.tally ??= emptyTally(refusal.tenantId, firstAt, at);
      if (refusal.tenantId !== row.tally.tenantId) row.tally.tenantId = "";
      row.tally.firstAt = firstAt;
      row.tally.count += count;
      row.tally.earlierNames = Math.max(row.tally.earlierNames, names);
      row.tally.hasMore ||= detail.includes(moreNames);
      row.isDue = true;
    },

    take() {
      const taken: AuditEvent[] = [];
      for (const row of [...rows.values()].flatMap((ofActor) => [...ofActor.values()])) {
        if (!row.isDue || row.tally === undefined) continue;
        taken.push(eventOf(row, row.tally));
        remembered -= row.tally.names.size;
        row.tally = undefined;
        row.isDue = false;
      }
      return taken;
    },

    endMinute() {
      for (const [actor, ofActor] of rows) {
        for (const [kind, row] of ofActor) {
          if (row.tally === undefined) ofActor.delete(kind);
          row.isDue = true;
        }
        if (ofActor.size === 0) rows.delete(actor);
      }
      return rows.size > 0;
    },
  };
}

/** Returns the value under the key, made if there is none. */
export function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

function emptyTally(tenantId: string, firstAt: Date, lastAt: Date): Tally {
  return { tenantId, count: 0, firstAt, lastAt, names: new Set(), earlierNames: 0, hasMore: false };
}

function eventOf({ actor, action, outcome }: Row, tally: Tally): AuditEvent {
  const { tenantId, count, firstAt, lastAt, names, earlierNames } = tally;
  const hasMore = tally.hasMore || (names.size > 0 && earlierNames > 0);
  const details = [...(actor === "" ? [manyCallers] : []), ...(hasMore ? [moreNames] : [])];
  return {
    at: lastAt,
    firstAt,
    actor,
    action,
    outcome,
    count,
    tenantId,
    purpose: undefined,
    keyId: "",
    requestId: "",
    names: Math.max(names.size, earlierNames),
    ...(details.length > 0 && { detail: details.join("; ") }),
  };
}
