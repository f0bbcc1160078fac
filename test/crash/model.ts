/**
 * What must be true of the keys, by the audit trail: a change and its row are one transaction, so the trail, played from its beginning,
 * says the state of every key. Whatever was acknowledged must be in it, and nothing that nobody asked for.
 *
 * A row counts as known from when its call was acknowledged, and else from when it was read. Whatever began later must have met what it
 * made, or something later still: that is what `since` gives.
 */
import type { Operation, Purpose, State } from "./ledger.ts";
import { after, born, type Situation } from "./transitions.ts";

/** A row of the trail that changed a key. */
export interface TrailRow {
  action: string;
  actor: string;
  requestId: string;
  tenantId: string;
  purpose: Purpose;
  keyId: string;
}

export interface ModelKey {
  tenantId: string;
  purpose: Purpose;
  keyId: string;
  version: number;
  /** One after each row. */
  moments: Moment[];
}

interface Moment {
  situations: Situation[];
  knownAt: number;
}

export interface Model {
  keys: ReadonlyMap<string, ModelKey>;
  /** The keys of a tenant and purpose, by version. */
  versions(tenantId: string, purpose: Purpose): readonly ModelKey[];
  /** Rows by the request that made them. */
  rowsOf(requestId: string): readonly TrailRow[];
  /** Plays the next rows of the trail. */
  play(rows: readonly TrailRow[]): void;
  /** What a key may be in now. */
  now(keyId: string): Situation[];
  /** The one of these that is true, as was learned elsewhere. */
  settle(keyId: string, state: State): void;
  /** In what a call that began at `at` may have met a key: empty for a key that is not in the trail. */
  since(keyId: string, at: number): Situation[];
  /** Whether a call that began at `at` may have met no ACTIVE key. */
  mayLackActive(tenantId: string, purpose: Purpose, at: number): boolean;
}

export interface Observers {
  operation(requestId: string): Operation | undefined;
  /** When something that was made with a key was first acknowledged. */
  firstUse(keyId: string): number | undefined;
  problem(what: string): void;
}

/** Whom the trail names where nobody called. */
const serviceName = "fluo-kms";
const births = ["create", "rotate"];
/** What calls do that are asked for something else, or for no key in particular. */
const unnamed = ["create", "rewrap"];

export function createModel({ operation, firstUse, problem }: Observers): Model {
  const keys = new Map<string, ModelKey>();
  const lines = new Map<string, ModelKey[]>();
  const lacking = new Map<string, { lacks: boolean; knownAt: number }[]>();
  const byRequest = new Map<string, TrailRow[]>();
  /** When the last-begun request of the rows so far was begun, by key. */
  const lastBegun = new Map<string, number>();

  const lineOf = (tenantId: string, purpose: Purpose) => `${tenantId}/${purpose}`;
  const now = (keyId: string) => keys.get(keyId)?.moments.at(-1)?.situations ?? [];

  function knownAt(row: TrailRow): number {
    const asked = operation(row.requestId)?.endedAt ?? Number.POSITIVE_INFINITY;
    const used = births.includes(row.action) ? firstUse(row.keyId) : undefined;
    return Math.min(asked, used ?? Number.POSITIVE_INFINITY, performance.now());
  }

  function playOne(row: TrailRow): void {
    const what = `${row.action} of ${row.purpose} key ${row.keyId} of ${row.tenantId} (${row.requestId})`;
    refuseUnasked(row, what);
    refuseDisorder(row, what);
    if (births.includes(row.action)) bear(row, what);
    else change(row, what);
  }

  function bear(row: TrailRow, what: string): void {
    const { action, tenantId, purpose, keyId } = row;
    if (keys.has(keyId)) problem(`${what}: the key was made before`);
    const line = getOr(lines, lineOf(tenantId, purpose), []);
    for (const rival of line) excludeActive(rival.keyId, what);
    const moments = [{ situations: told(row, [born], what), knownAt: knownAt(row) }];
    const key = { tenantId, purpose, keyId, version: line.length + 1, moments };
    line.push(key);
    keys.set(keyId, key);
    if ((action === "create") !== (key.version === 1)) problem(`${what}: is version ${key.version}`);
  }

  function change(row: TrailRow, what: string): void {
    const before = now(row.keyId);
    const situations = before.flatMap((situation) => after(row.action, situation));
    if (situations.length === 0) problem(`${what}: the key was ${describe(before)}`);
    keys.get(row.keyId)?.moments.push({ situations: told(row, situations, what), knownAt: knownAt(row) });
  }

  /** Of what may be, what the answer to the request says. */
  function told({ requestId, keyId }: TrailRow, situations: Situation[], what: string): Situation[] {
    const answer = operation(requestId)?.answer.find((answered) => answered.keyId === keyId);
    if (answer === undefined) return situations;
    const left = situations.filter(({ state }) => state === answer.state);
    if (left.length === 0) problem(`${what}: was answered as ${answer.state} and is ${describe(situations)}`);
    return left.length === 0 ? situations : left;
  }

  function noteLack(row: TrailRow): void {
    const line = lineOf(row.tenantId, row.purpose);
    const isActive = ({ keyId }: ModelKey) => now(keyId).every(({ state }) => state === "ACTIVE");
    getOr(lacking, line, []).push({ lacks: !lines.get(line)?.some(isActive), knownAt: knownAt(row) });
  }

  function excludeActive(keyId: string, what: string): void {
    const moment = keys.get(keyId)!.moments.at(-1)!;
    const left = moment.situations.filter(({ state }) => state !== "ACTIVE");
    if (left.length === 0) problem(`${what}: key ${keyId} is ACTIVE too`);
    else moment.situations = left;
  }

  function refuseUnasked({ action, actor, requestId }: TrailRow, what: string): void {
    if (requestId === "") {
      if (!unnamed.includes(action) && actor !== serviceName) problem(`${what}: by ${actor}, who asked for nothing`);
      return;
    }
    const asked = operation(requestId);
    if (asked === undefined) problem(`${what}: nobody asked for it`);
    else if (asked.outcome === "refused" || asked.outcome === "lost race") {
      problem(`${what}: was answered as ${asked.outcome}`);
    }
  }

  /** What was asked for after the answer to something else comes after it. */
  function refuseDisorder({ requestId, keyId }: TrailRow, what: string): void {
    const asked = operation(requestId);
    if (asked === undefined) return;
    const begun = lastBegun.get(keyId) ?? 0;
    if (asked.endedAt !== undefined && asked.endedAt < begun) problem(`${what}: is behind what was asked for later`);
    lastBegun.set(keyId, Math.max(begun, asked.begunAt));
  }

  return {
    keys,
    now,
    versions: (tenantId, purpose) => lines.get(lineOf(tenantId, purpose)) ?? [],
    rowsOf: (requestId) => byRequest.get(requestId) ?? [],

    play(rows) {
      rows.forEach((row, index) => {
        playOne(row);
        if (!isReplacedBy(row, rows[index + 1])) noteLack(row);
        if (row.requestId !== "") getOr(byRequest, row.requestId, []).push(row);
      });
    },

    settle(keyId, state) {
      const moment = keys.get(keyId)?.moments.at(-1);
      if (moment) moment.situations = moment.situations.filter((situation) => situation.state === state);
    },

    since(keyId, at) {
      const moments = keys.get(keyId)?.moments ?? [];
      return moments.slice(firstMet(moments, at)).flatMap(({ situations }) => situations);
    },

    mayLackActive(tenantId, purpose, at) {
      const history = lacking.get(lineOf(tenantId, purpose)) ?? [];
      return history.slice(firstMet(history, at)).some(({ lacks }) => lacks);
    },
  };
}

/** In one transaction: nobody met what is between the two. */
function isReplacedBy({ action, tenantId, purpose, requestId }: TrailRow, next: TrailRow | undefined): boolean {
  if (!["retire", "mark_compromised"].includes(action) || next === undefined || !births.includes(next.action))
    return false;
  return next.tenantId === tenantId && next.purpose === purpose && next.requestId === requestId;
}

function getOr<K, V>(map: Map<K, V>, key: K, fresh: V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  map.set(key, fresh);
  return fresh;
}

/** Of what is known by `at`, the last: what is before it was over by then. */
function firstMet(moments: readonly { knownAt: number }[], at: number): number {
  return Math.max(
    0,
    moments.findLastIndex(({ knownAt }) => knownAt <= at),
  );
}

export function describe(situations: readonly Situation[]): string {
  if (situations.length === 0) return "not in the trail";
  return situations.map(({ state, compromised }) => (compromised ? `${state} (compromised)` : state)).join(" or ");
}
