/**
 * Records of keys and what the audit trail tells of them, side by side and a page at a time. A trail can have millions of rows of one key, so
 * that a piece may end within a life: the rows of it that change the key's state go along. The record is always read with the life's last row.
 */
import type { Row } from "../sql/rows/database.ts";
import { compareText, onward } from "../sql/rows/walk.ts";
import type { RowProblem } from "../row-problem.ts";
import { disordered, doubted, keyProblem, missing } from "./key-problems.ts";
import type { Moment, Piece } from "./part.ts";
import { changesState, type Life, replay } from "./replay.ts";

export interface KeyPlace {
  /** All keys up to this one are done. */
  after: string;
  /** The next key of the trail, of which rows up to `id` were read. */
  begun?: { keyId: string; id: number; rows: Row[] };
}

/** Rows of a key in the trail, and whether there may be more. */
interface Chapter {
  keyId: string;
  rows: Row[];
  isWhole: boolean;
}

const pageRows = 500;

export async function examineKeyRows({ query, mac }: Moment, at: KeyPlace = { after: "" }): Promise<Piece<KeyPlace>> {
  const chapters = await chaptersFrom(query, at);
  const records = await recordsFrom(query, at);
  const open = chapters.chapters.find(({ isWhole }) => !isWhole);
  const lastRecord = records.length === pageRows ? String(records.at(-1)!.key_id) : undefined;
  const isDue = (keyId: string) =>
    (open === undefined || compareText(keyId, open.keyId) < 0) &&
    (lastRecord === undefined || compareText(keyId, lastRecord) <= 0);
  const due = new Map<string, { record?: Row; life?: Life }>();
  for (const { keyId, rows } of chapters.chapters) {
    const changes = rows.filter(changesState);
    if (isDue(keyId) && changes.length > 0) due.set(keyId, { life: replay(changes) });
  }
  for (const record of records) {
    const keyId = String(record.key_id);
    if (isDue(keyId)) due.set(keyId, { ...due.get(keyId), record });
  }
  const problems: RowProblem[] = [];
  for (const { record, life } of due.values()) {
    const found = record === undefined ? missing(life!) : keyProblem(mac, record, life);
    if (found !== undefined) problems.push(found);
    if (life?.ordered === false) problems.push(disordered(life));
    if (life?.doubt !== undefined) problems.push(doubted(life, life.doubt));
  }
  const rows = chapters.read + due.size;
  if (open === undefined && lastRecord === undefined) return { rows, problems, next: undefined };
  const isOpenNext = open !== undefined && (lastRecord === undefined || compareText(open.keyId, lastRecord) <= 0);
  const after = lastRecord !== undefined && !isOpenNext ? lastRecord : lastOf([...due.keys(), at.after]);
  const next = isOpenNext ? { after, begun: begunOf(open!) } : { after };
  onward("kms_keys and kms_audit", endOf(at), endOf(next));
  return { rows, problems, next };
}

async function chaptersFrom(query: Moment["query"], { after, begun }: KeyPlace) {
  const rows = begun ? await restOf(query, begun) : [];
  if (rows.length < pageRows) rows.push(...(await behind(query, begun?.keyId ?? after, pageRows - rows.length)));
  const byKey = Map.groupBy([...(begun?.rows ?? []), ...rows], ({ key_id }) => String(key_id));
  const last = rows.length === pageRows ? String(rows.at(-1)!.key_id) : undefined;
  const chapters: Chapter[] = [...byKey].map(([keyId, own]) => ({ keyId, rows: own, isWhole: keyId !== last }));
  return { chapters, read: rows.length };
}

/** The rows that the key still has. A comparison over both columns would make SQLite go through all of them for each piece. */
function restOf(query: Moment["query"], { keyId, id }: NonNullable<KeyPlace["begun"]>): Promise<Row[]> {
  const text = "select * from kms_audit where key_id = ?1 and id > ?2 and key_id <> '' order by id limit ?3";
  return query(text, keyId, id, pageRows);
}

function behind(query: Moment["query"], keyId: string, limit: number): Promise<Row[]> {
  const text = "select * from kms_audit where key_id > ?1 and key_id <> '' order by key_id, id limit ?2";
  return query(text, keyId, limit);
}

/** Keys before the one that is begun are left out: their rows in the trail were passed before they were there. The next pass has them. */
async function recordsFrom(query: Moment["query"], { after, begun }: KeyPlace): Promise<Row[]> {
  const [compared, keyId] = begun ? [">=", begun.keyId] : [">", after];
  return query(`select * from kms_keys where key_id ${compared} ?1 order by key_id limit ${pageRows}`, keyId);
}

/** The place is plain data, and small: rows that change no state are left out, and so are bytes. */
function begunOf({ keyId, rows }: Chapter): NonNullable<KeyPlace["begun"]> {
  const kept = rows.filter(changesState).map(({ mac: _, ...row }) => row);
  return { keyId, id: Number(rows.at(-1)!.id), rows: kept };
}

function endOf({ after, begun }: KeyPlace) {
  return [after, begun?.keyId ?? "", begun?.id ?? 0];
}

function lastOf(keyIds: readonly string[]): string {
  return keyIds.reduce((last, each) => (compareText(each, last) > 0 ? each : last));
}
