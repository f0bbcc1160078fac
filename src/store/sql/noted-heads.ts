/** How a store stands to heads that were noted elsewhere, and what accepts that it is behind them. */
import { acceptedBy } from "../acceptance.ts";
import type { AuditHead } from "../audit-store.ts";
import { mostNoted, nothingNoted } from "../head-notes.ts";
import type { CountedCommits, NotedHeads, NotedKey, NotedLog, Standing } from "../heads-store.ts";
import type { KeyState } from "../key-record.ts";
import { readCommits } from "./commits.ts";
import type { Query, Row } from "./rows/database.ts";
import { headOf } from "./heads.ts";
import type { RowMac } from "./rows/mac.ts";
import { authenticated, bytes, placeholders, valuesOf } from "./rows/rows.ts";

/** Names that one statement looks up. */
const pageNames = 100;
/** Audit rows in which a first heads file looks for writers. */
const recentRows = 10_000;

/** DATA_LOSS if the store key's row or the count of commits is not as it was written. Rows that are only compared are not authenticated. */
export async function standingOf(query: Query, mac: RowMac, noted: NotedHeads): Promise<Standing> {
  const [stored] = await query("select * from kms_store");
  const store = authenticated(mac, "kms_store", stored ?? {}, "the store key");
  const count = await readCommits(query, mac);
  const counted: CountedCommits | undefined = count && {
    commits: count.commits,
    logHeads: count.sums.kms_logs,
    auditHeads: count.sums.kms_audit_writers,
  };
  return {
    storeId: String(store.store_id),
    writersCounted: Number(store.writers),
    counted,
    headsSince: count?.headsSince,
    writers: await writersBehind(query, noted.writers),
    logs: await logsBehind(query, noted.logs),
    keys: await keysElsewise(query, noted.keys),
  };
}

async function writersBehind(query: Query, noted: readonly AuditHead[]): Promise<Standing["writers"]> {
  const rows = await found(query, noted, {
    text: (names) => `select writer_id, sequence, mac from kms_audit where (writer_id, sequence) in (values ${names})`,
    name: ({ writerId, sequence }) => [writerId, sequence],
  });
  const macs = new Map(rows.map((row) => [`${row.writer_id}/${row.sequence}`, bytes(row.mac)]));
  const gone = noted.filter(({ writerId, sequence, mac }) => !isSame(macs.get(`${writerId}/${sequence}`), mac));
  const newest = await newestOf(query, gone);
  return gone.map((each) => ({ noted: each, newest: newest.get(each.writerId) ?? 0 }));
}

async function newestOf(query: Query, writers: readonly AuditHead[]): Promise<Map<string, number>> {
  const newest = new Map<string, number>();
  for (let start = 0; start < writers.length; start += pageNames) {
    const ids = writers.slice(start, start + pageNames).map(({ writerId }) => writerId);
    const names = ids.map((_, index) => `(?${index + 1})`);
    const rows = await query(
      `select column1 as writer_id, (select max(sequence) from kms_audit where writer_id = column1) as newest
       from (values ${names.join(", ")}) as names`,
      ...ids,
    );
    for (const row of rows) newest.set(String(row.writer_id), Number(row.newest ?? 0));
  }
  return newest;
}

/**
 * What writers wrote behind the row with the id `after`, of at most 1,000 rows, the newest: of each writer its last row, the newest last. Ids
 * are given before commits, so a row may be missed; its writer's next one is not. `last` is the newest id.
 */
export async function writtenSince(query: Query, after: number): Promise<{ heads: AuditHead[]; last: number }> {
  const text = `select id, writer_id, sequence, mac from kms_audit where id > ?1 order by id desc limit ${mostNoted}`;
  const rows = (await query(text, after)).reverse();
  const heads = new Map<string, AuditHead>();
  for (const { writer_id, sequence, mac } of rows) {
    const writerId = String(writer_id);
    heads.delete(writerId);
    heads.set(writerId, { writerId, sequence: Number(sequence), mac: bytes(mac) });
  }
  return { heads: [...heads.values()], last: Number(rows.at(-1)?.id ?? after) };
}

async function logsBehind(query: Query, noted: readonly NotedLog[]): Promise<Standing["logs"]> {
  const rows = await found(query, noted, {
    text: (names) =>
      `select tenant_id, number, size, root from kms_logs where (tenant_id, number) in (values ${names})`,
    name: ({ tenantId, number }) => [tenantId, number],
  });
  const heads = new Map(rows.map((row) => [`${row.tenant_id}/${row.number}`, row]));
  return noted.flatMap((each) => {
    const head = heads.get(`${each.tenantId}/${each.number}`);
    const size = head && Number(head.size);
    const isThere =
      size !== undefined && (size > each.size || (size === each.size && isSame(bytes(head?.root), each.root)));
    return isThere ? [] : [{ noted: each, size }];
  });
}

async function keysElsewise(query: Query, noted: readonly NotedKey[]): Promise<Standing["keys"]> {
  const states = new Map<string, KeyState>();
  for (let start = 0; start < noted.length; start += pageNames) {
    const ids = noted.slice(start, start + pageNames).map(({ keyId }) => keyId);
    const text = `select key_id, state from kms_keys where key_id in (${placeholders(ids.length)})`;
    for (const row of await query(text, ...ids)) states.set(String(row.key_id), row.state as KeyState);
  }
  return noted.flatMap((each) => {
    const state = states.get(each.keyId);
    return state === each.state ? [] : [{ noted: each, state }];
  });
}

interface Lookup<T> {
  text(names: string): string;
  /** A text and a whole number. */
  name(each: T): [string, number];
}

async function found<T>(query: Query, all: readonly T[], { text, name }: Lookup<T>): Promise<Row[]> {
  const rows: Row[] = [];
  for (let start = 0; start < all.length; start += pageNames) {
    const some = all.slice(start, start + pageNames);
    // PostgreSQL takes a parameter in a list of values for text.
    const pairs = some.map((_, index) => `(?${2 * index + 1}, cast(?${2 * index + 2} as bigint))`);
    rows.push(...(await query(text(pairs.join(", ")), ...some.flatMap(name))));
  }
  return rows;
}

/**
 * Leaves out rows that are not authentic, and writers whose newest row is not the one that their head names: they are problems of their own, and
 * noted they would be a finding that nobody could accept.
 */
export async function newestHeads(query: Query, mac: RowMac): Promise<NotedHeads> {
  const writers = await query(
    `select * from kms_audit_writers as writers where writer_id in (
       select writer_id from (select writer_id from kms_audit order by id desc limit ${recentRows}) as newest
     ) and exists (
       select 1 from kms_audit as its where its.writer_id = writers.writer_id and its.sequence = writers.sequence and its.mac = writers.head
     ) limit ${mostNoted}`,
  );
  const logs = await query(`select * from kms_logs order by changed_at desc limit ${mostNoted}`);
  return {
    ...nothingNoted,
    writers: writers.filter((row) => isAuthentic(mac, row)).map(headOfWriter),
    logs: logs.reverse().flatMap((row) => {
      try {
        const { tenantId, number, size, root } = headOf(mac, row);
        return [{ tenantId, number, size, root }];
      } catch {
        return [];
      }
    }),
  };
}

function isAuthentic(mac: RowMac, row: Row): boolean {
  return mac.matches(row.mac, "kms_audit_writers", valuesOf("kms_audit_writers", row));
}

function headOfWriter(row: Row): AuditHead {
  return { writerId: String(row.writer_id), sequence: Number(row.sequence), mac: bytes(row.head) };
}

/** See HeadsStore.acceptsHeads. The rows that accept name no tenant, and an index leads to those. */
export async function isAccepted(query: Query, mac: RowMac, sha256: string): Promise<boolean> {
  const rows = await query(
    `select * from kms_audit
     where tenant_id = '' and action in ('restore', 'accept_rollback') and outcome = 'OK' and detail is not null`,
  );
  for (const row of rows.filter(({ detail }) => acceptedBy(String(detail)).includes(sha256))) {
    if (await isOfItsChain(query, mac, row)) return true;
  }
  return false;
}

/** Whether a row has the HMAC that its writer gave it. The row before it is as it is stored: it need not be whole for that. */
async function isOfItsChain(query: Query, mac: RowMac, row: Row): Promise<boolean> {
  const text = "select mac from kms_audit where writer_id = ?1 and sequence = ?2";
  const [before] = await query(text, row.writer_id!, Number(row.sequence) - 1);
  const previous = before === undefined ? new Uint8Array() : bytes(before.mac);
  return mac.matches(row.mac, "kms_audit", [...valuesOf("kms_audit", row), previous]);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
