/**
 * Which keys are under another provider key than they should be. One finds them, and counts them, provider key by provider key in an
 * index, so that where there are none it costs a look for each provider key that there is. Those of tenants that have a provider key of
 * their own are found by tenant; what is under a tenant's own is read, as there the others are few.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database, Query, Row } from "./rows/database.ts";
import { keyName } from "./rows/rows.ts";
import { compareText, onward } from "./rows/walk.ts";
import type { WrappedBy, WrappedCount, WrappedName, WrappedPage, Wrapping } from "../key-store.ts";

/** About 2 ms of SQLite. */
const keysAStep = 20_000;
const namesAStep = 1_000;
const tenantsAStep = 100;

/**
 * The keys of one provider key from some id on. Said of all columns of the index, because PostgreSQL would else walk the primary key, which
 * has the order too, past all those of the current provider key.
 */
const ofOne = `state <> 'DESTROYED' and (provider, provider_key_id, key_id) > (?1, ?2, ?3) and (provider, provider_key_id) <= (?1, ?2)`;
const inOrder = "order by provider, provider_key_id, key_id limit ?4";
const ofTenants = `version > 0 and tenant_id in (${Array.from({ length: tenantsAStep }, (_, at) => `?${at + 1}`).join(", ")})`;

export async function wrappedByOthers(
  query: Query,
  should: Wrapping,
  { limit, after }: WrappedPage,
): Promise<WrappedName[]> {
  const found: WrappedName[] = [];
  const owners = ownersOf(should);
  for (const by of await providerKeys(query, should)) {
    const order = after === undefined ? 1 : compare(by, after);
    if (order < 0) continue;
    const from = order === 0 ? after!.keyId : "";
    const left = limit - found.length;
    const names = isSame(by, should.current)
      ? await strays(query, should, from)
      : await misplaced(query, owners(by), { by, from, left });
    found.push(...names.slice(0, left));
    if (found.length >= limit) break;
  }
  return found;
}

/** Under a provider key that is not the current one, where all are wrong but those of its owners. */
async function misplaced(
  query: Query,
  owners: ReadonlySet<string> | undefined,
  { by, from, left }: { by: WrappedBy; from: string; left: number },
): Promise<WrappedName[]> {
  const found: WrappedName[] = [];
  const size = owners === undefined ? left : Math.max(left, namesAStep);
  for (let last = from; found.length < left; ) {
    const rows: Row[] = await query(
      `select tenant_id, purpose, version, key_id from kms_keys where ${ofOne} and state <> 'PENDING' ${inOrder}`,
      by.provider,
      by.providerKeyId,
      last,
      size,
    );
    const names = rows.map((row) => ({ ...keyName(row), ...by, version: Number(row.version) }));
    found.push(...names.filter(({ tenantId }) => !owners?.has(tenantId)));
    if (names.length < size) break;
    [last] = onward("kms_keys", [last], [names.at(-1)!.keyId]);
  }
  return found;
}

/** Under the current provider key, where only those of tenants are wrong that have another. */
async function strays(query: Query, { current, tenants }: Wrapping, from: string): Promise<WrappedName[]> {
  const others = [...tenants].filter(([, own]) => own !== undefined && !isSame(own, current));
  const found: WrappedName[] = [];
  for (const chunk of chunks(others.map(([tenantId]) => tenantId))) {
    const rows = await query(
      `select tenant_id, purpose, version, key_id, provider, provider_key_id from kms_keys where ${ofTenants} and state <> 'DESTROYED'`,
      ...chunk,
    );
    const here = rows.filter((row) => isSame(wrappedBy(row), current) && String(row.key_id) > from);
    found.push(...here.map((row) => ({ ...keyName(row), ...current, version: Number(row.version) })));
  }
  return found.sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
}

/** In steps, between which other calls get their turn. */
export async function countWrappedByOthers(
  db: Pick<Database, "read">,
  should: Wrapping,
  stepSize = keysAStep,
): Promise<WrappedCount[]> {
  const owners = ownersOf(should);
  const owned = await countOfTenants(db, should);
  const counts: WrappedCount[] = [];
  for (const by of await db.read((query) => providerKeys(query, should))) {
    const { right = 0, wrong = 0 } = owned.get(nameOf(by)) ?? {};
    const rightly = right + (await pendingOf(db, by, owners(by)));
    const keys = isSame(by, should.current) ? wrong : (await countUnder(db, by, stepSize)) - rightly;
    if (keys > 0) counts.push({ ...by, keys });
  }
  return counts;
}

/** How many keys of tenants that have a provider key of their own are under which, rightly or not. */
async function countOfTenants(db: Pick<Database, "read">, { tenants }: Wrapping) {
  const counts = new Map<string, { right: number; wrong: number }>();
  for (const chunk of chunks([...tenants.keys()])) {
    const rows = await db.read((query) =>
      query(
        `select tenant_id, provider, provider_key_id, count(*) as count from kms_keys where ${ofTenants} and state <> 'DESTROYED'
         group by tenant_id, provider, provider_key_id`,
        ...chunk,
      ),
    );
    for (const row of rows) {
      const by = wrappedBy(row);
      const count = counts.get(nameOf(by)) ?? { right: 0, wrong: 0 };
      const own = tenants.get(String(row.tenant_id)) ?? by;
      count[isSame(by, own) ? "right" : "wrong"] += Number(row.count);
      counts.set(nameOf(by), count);
    }
    await nextTurn();
  }
  return counts;
}

async function countUnder(db: Pick<Database, "read">, by: WrappedBy, stepSize: number): Promise<number> {
  let keys = 0;
  for (let after = ""; ; ) {
    const from = after;
    const row = await db.read((query) => countStep(query, by, from, stepSize));
    keys += Number(row?.count);
    if (Number(row?.count) < stepSize) return keys;
    [after] = onward("kms_keys", [after], [String(row?.last)]);
    await nextTurn();
  }
}

async function countStep(query: Query, { provider, providerKeyId }: WrappedBy, after: string, stepSize: number) {
  const [row] = await query(
    `select count(*) as count, max(key_id) as last from (
       select key_id from kms_keys where ${ofOne} ${inOrder}
     ) as step`,
    provider,
    providerKeyId,
    after,
    stepSize,
  );
  return row;
}

/** Keys that are being made for the owners of `by`, which have no version to be found by. */
async function pendingOf(db: Pick<Database, "read">, by: WrappedBy, owners: ReadonlySet<string> | undefined) {
  if (owners === undefined) return 0;
  const rows = await db.read((query) =>
    query("select tenant_id, provider, provider_key_id from kms_keys where state = 'PENDING'"),
  );
  return rows.filter((row) => isSame(wrappedBy(row), by) && owners.has(String(row.tenant_id))).length;
}

/** By provider key, the tenants whose own it is, or may be; undefined where there are none. */
function ownersOf({ tenants }: Wrapping): (by: WrappedBy) => ReadonlySet<string> | undefined {
  const owners = new Map<string, Set<string>>();
  const unknown = new Set([...tenants].filter(([, own]) => own === undefined).map(([tenantId]) => tenantId));
  for (const [tenantId, own] of tenants) {
    if (own === undefined) continue;
    const others = owners.get(nameOf(own));
    if (others === undefined) owners.set(nameOf(own), new Set([...unknown, tenantId]));
    else others.add(tenantId);
  }
  return (by) => owners.get(nameOf(by)) ?? (unknown.size === 0 ? undefined : unknown);
}

/** Those that may have wrapped what they should not, in the order of the index, each found behind the one before. */
async function providerKeys(query: Query, { current, tenants }: Wrapping): Promise<WrappedBy[]> {
  const found: WrappedBy[] = [];
  let [row] = await nextProviderKey(query, "provider >= ''", []);
  while (row !== undefined) {
    const by = wrappedBy(row);
    if (tenants.size > 0 || !isSame(by, current)) found.push(by);
    [row] = await nextProviderKey(query, "(provider, provider_key_id) > (?1, ?2)", placeOf(by));
    if (row !== undefined) onward("kms_keys", placeOf(by), placeOf(wrappedBy(row)));
  }
  return found;
}

function nextProviderKey(query: Query, condition: string, values: string[]): Promise<Row[]> {
  return query(
    `select provider, provider_key_id from kms_keys where state <> 'DESTROYED' and ${condition}
     order by provider, provider_key_id limit 1`,
    ...values,
  );
}

/** Of one length, so that there is one statement: the last is filled up with its last tenant. */
function chunks(tenants: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(tenants.length / tenantsAStep) }, (_, at) => {
    const chunk = tenants.slice(at * tenantsAStep, (at + 1) * tenantsAStep);
    return [...chunk, ...Array<string>(tenantsAStep - chunk.length).fill(chunk.at(-1)!)];
  });
}

function wrappedBy({ provider, provider_key_id }: Row): WrappedBy {
  return { provider: String(provider), providerKeyId: String(provider_key_id) };
}

function nameOf({ provider, providerKeyId }: WrappedBy): string {
  return `${provider} ${providerKeyId}`;
}

function isSame(a: WrappedBy, b: WrappedBy): boolean {
  return a.provider === b.provider && a.providerKeyId === b.providerKeyId;
}

function placeOf({ provider, providerKeyId }: WrappedBy): string[] {
  return [provider, providerKeyId];
}

function compare(a: WrappedBy, b: WrappedBy): number {
  return compareText(a.provider, b.provider) || compareText(a.providerKeyId, b.providerKeyId);
}
