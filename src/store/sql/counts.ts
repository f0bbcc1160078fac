/**
 * How many keys there are, by purpose and state. Each is looked at, in an index, which takes longer the more there are; so they are
 * counted in steps, between which other calls get their turn. What changes meanwhile may be counted twice or not at all.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { KeyState, Purpose } from "../key-record.ts";
import type { Database, Query } from "./rows/database.ts";
import { date } from "./rows/rows.ts";
import { onward } from "./rows/walk.ts";
import type { KeyCounts } from "../key-store.ts";

/** About 2 ms of SQLite. A step may be longer by the keys of one tenant. */
const keysAStep = 20_000;

/** Those that a store may have any number of. */
const states: readonly KeyState[] = ["ACTIVE", "RETIRED", "DISABLED", "COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"];

const purposes: readonly Purpose[] = ["data", "signing"];
const byPurpose = purposes.map((name) => `count(case purpose when '${name}' then 1 end) as ${name}`).join(", ");
/** Behind every tenant id. */
const beyond = "~";

export async function countKeys(db: Pick<Database, "read">, stepSize = keysAStep): Promise<KeyCounts> {
  const counts = await db.read(startCounts);
  for (let place: Place | undefined = { state: 0, after: "" }; place !== undefined; ) {
    const from: Place = place;
    place = await db.read((query) => countStep(query, counts, from, stepSize));
    if (place !== undefined) await nextTurn();
  }
  return counts;
}

/** Of one tenant, at once. */
export async function countKeysOf(query: Query, tenantId: string): Promise<KeyCounts> {
  const counts: KeyCounts = {
    byPurpose: { data: {}, signing: {} },
    oldestActiveAt: undefined,
    lastRotationAt: undefined,
  };
  const rows = await query(
    `select state, ${byPurpose}, min(activated_at) as activated_at, max(retired_at) as retired_at
     from kms_keys where tenant_id = ?1 and version > 0 group by state order by state`,
    tenantId,
  );
  for (const { state, data, signing, activated_at, retired_at } of rows) {
    add(counts, state as KeyState, { data: Number(data), signing: Number(signing) });
    if (state === "ACTIVE") counts.oldestActiveAt = date(activated_at);
    const retiredAt = date(retired_at);
    if (retiredAt && retiredAt > (counts.lastRotationAt ?? 0)) counts.lastRotationAt = retiredAt;
  }
  return counts;
}

async function startCounts(query: Query): Promise<KeyCounts> {
  const [oldest] = await query("select min(activated_at) as at from kms_keys where state = 'ACTIVE'");
  const [last] = await query("select max(retired_at) as at from kms_keys");
  const counts: KeyCounts = {
    byPurpose: { data: {}, signing: {} },
    oldestActiveAt: date(oldest?.at),
    lastRotationAt: date(last?.at),
  };
  const [pending] = await query(`select ${byPurpose} from kms_keys where state = 'PENDING'`);
  add(counts, "PENDING", { data: Number(pending?.data), signing: Number(pending?.signing) });
  return counts;
}

function add({ byPurpose }: KeyCounts, state: KeyState, found: Record<Purpose, number>): void {
  for (const purpose of purposes) {
    if (found[purpose] > 0) byPurpose[purpose][state] = (byPurpose[purpose][state] ?? 0) + found[purpose];
  }
}

interface Place {
  /** Index in `states`. */
  state: number;
  /** The tenant that was counted last. */
  after: string;
}

/** Counts at least `stepSize` keys, if there are as many. Returns where to go on. */
async function countStep(query: Query, counts: KeyCounts, from: Place, stepSize: number): Promise<Place | undefined> {
  let { state, after } = from;
  let left = stepSize;
  while (left > 0) {
    const name = states[state];
    if (name === undefined) return undefined;
    const { end, ...found } = await countState(query, name, after, left);
    add(counts, name, found);
    left -= found.data + found.signing;
    after = end === undefined ? "" : onward("kms_keys", [after], [end])[0]!;
    if (end === undefined) state += 1;
  }
  return { state, after };
}

/** Of the tenants behind `after`, whole tenants up to the one that makes it more than `atLeast`: `end`. */
async function countState(query: Query, state: KeyState, after: string, atLeast: number) {
  const some = "from kms_keys where state = ?1 and version > 0 and tenant_id > ?2";
  const [row] = await query(
    `with edge (tenant_id) as (select tenant_id ${some} order by tenant_id limit 1 offset ?3)
     select ${byPurpose}, (select tenant_id from edge) as edge
     ${some} and tenant_id <= coalesce((select tenant_id from edge), '${beyond}')`,
    state,
    after,
    atLeast,
  );
  const end = row?.edge === null ? undefined : String(row?.edge);
  return { data: Number(row?.data), signing: Number(row?.signing), end };
}
