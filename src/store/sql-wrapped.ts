/**
 * Which keys other provider keys than the current one wrapped. One finds them, and counts them, provider key by provider key in an index,
 * so that where there are none it costs a look for each provider key that there is.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database, Query, Row } from "./sql.ts";
import { keyName } from "./sql-rows.ts";
import type { WrappedBy, WrappedCount, WrappedName, WrappedPage } from "./store.ts";

/** About 2 ms of SQLite. */
const keysAStep = 20_000;

/**
 * The keys of one provider key from some id on. Said of all columns of the index, because PostgreSQL would else walk the primary key, which
 * has the order too, past all those of the current provider key.
 */
const ofOne = `state <> 'DESTROYED' and (provider, provider_key_id, key_id) > (?1, ?2, ?3) and (provider, provider_key_id) <= (?1, ?2)`;
const inOrder = "order by provider, provider_key_id, key_id limit ?4";

export async function wrappedByOthers(
  query: Query,
  current: WrappedBy,
  { limit, after }: WrappedPage,
): Promise<WrappedName[]> {
  const found: WrappedName[] = [];
  for (const other of await others(query, current)) {
    const order = after === undefined ? 1 : compare(other, after);
    if (order < 0) continue;
    const rows = await query(
      `select tenant_id, purpose, version, key_id from kms_keys where ${ofOne} and state <> 'PENDING' ${inOrder}`,
      other.provider,
      other.providerKeyId,
      order === 0 ? after!.keyId : "",
      limit - found.length,
    );
    found.push(...rows.map((row) => ({ ...keyName(row), ...other, version: Number(row.version) })));
    if (found.length >= limit) break;
  }
  return found;
}

/** In steps, between which other calls get their turn. */
export async function countWrappedByOthers(
  db: Pick<Database, "read">,
  current: WrappedBy,
  stepSize = keysAStep,
): Promise<WrappedCount[]> {
  const counts: WrappedCount[] = [];
  for (const other of await db.read((query) => others(query, current))) {
    let keys = 0;
    for (let after: string | undefined = ""; after !== undefined; ) {
      const from: string = after;
      const row = await db.read((query) => countStep(query, other, from, stepSize));
      keys += Number(row?.count);
      after = Number(row?.count) < stepSize ? undefined : String(row?.last);
      if (after !== undefined) await nextTurn();
    }
    if (keys > 0) counts.push({ ...other, keys });
  }
  return counts;
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

/** In the order of the index, each found behind the one before. */
async function others(query: Query, current: WrappedBy): Promise<WrappedBy[]> {
  const found: WrappedBy[] = [];
  let [row] = await nextOther(query, "provider >= ''", []);
  while (row !== undefined) {
    const other = { provider: String(row.provider), providerKeyId: String(row.provider_key_id) };
    if (compare(other, current) !== 0) found.push(other);
    [row] = await nextOther(query, "(provider, provider_key_id) > (?1, ?2)", [other.provider, other.providerKeyId]);
  }
  return found;
}

function nextOther(query: Query, condition: string, values: string[]): Promise<Row[]> {
  return query(
    `select provider, provider_key_id from kms_keys where state <> 'DESTROYED' and ${condition}
     order by provider, provider_key_id limit 1`,
    ...values,
  );
}

/** As the databases order text: by bytes. */
function compare(a: WrappedBy, b: WrappedBy): number {
  const order = Buffer.compare(Buffer.from(a.provider), Buffer.from(b.provider));
  return order || Buffer.compare(Buffer.from(a.providerKeyId), Buffer.from(b.providerKeyId));
}
