/**
 * Logs recomputed from their entries, a bundle at a time: each leaf hash, each stored hash of a tile, and the root of the head. A log is
 * recomputed up to the head that it had when it was begun, so that one that grows meanwhile comes to an end. Only the first problem of a
 * log is reported; `fluo-kms check` reports all.
 */
import { KmsError } from "../../errors.ts";
import { entryOffsets } from "../../tlog/entry-bundle.ts";
import { emptyTree, growTree, hashBytes, leafHash, newNodes, nodesIn, rootOf, type Tree } from "../../tlog/merkle.ts";
import { fullTile, tileHeight } from "../../tlog/tiles.ts";
import type { Query, Row } from "../sql/rows/database.ts";
import { headOf } from "../sql/heads.ts";
import { readEntries, readHashes } from "../sql/tile-chunks.ts";
import { compareText, onward } from "../sql/rows/walk.ts";
import type { LogHead, LogName } from "../log-store.ts";
import type { RowProblem } from "../row-problem.ts";
import { logProblem } from "./table-rows.ts";
import type { Moment, Piece } from "./part.ts";

export interface LogPlace {
  /** The log that was done last, or is being recomputed. */
  log: LogName;
  /** How far it was recomputed, and up to which head. */
  begun?: { tree: Tree; target: Target };
}

type Target = Pick<LogHead, "size" | "root" | "frontier">;

/** Entries of a piece, and logs that have none. */
const mostWork = 4_096;
const workOfALog = 64;
const lengthBytes = 2;
/** Levels of tiles above the leaves. No log has hashes of more. */
const upperLevels = [1, 2, 3, 4, 5, 6];

export async function examineLogs({ query, mac }: Moment, at?: LogPlace): Promise<Piece<LogPlace>> {
  const problems: RowProblem[] = [];
  let place = at;
  let rows = 0;
  for (let work = 0; work < mostWork; work += workOfALog) {
    if (place?.begun === undefined) {
      const name = await nextLog(query, place?.log);
      if (name === undefined) return { rows, problems, next: undefined };
      const { found, head } = await beginLog({ query, mac }, name);
      if (found !== undefined) problems.push(found);
      place = head === undefined || found !== undefined ? { log: name } : { log: name, begun: begin(head) };
      continue;
    }
    const { log, begun }: Required<LogPlace> = { ...place, begun: place.begun };
    const { entries, tree, wrong } = await growByBundle(query, log, begun);
    rows += entries;
    work += entries;
    if (wrong !== undefined) problems.push(contentProblem(log, wrong));
    place = tree === undefined ? { log } : { log, begun: { tree, target: begun.target } };
  }
  return { rows, problems, next: place };
}

function begin({ size, root, frontier }: LogHead): NonNullable<LogPlace["begun"]> {
  return { tree: emptyTree, target: { size, root, frontier } };
}

/** The next log that has a head, entries or hashes, by tenant and number. */
async function nextLog(query: Query, after: LogName = { tenantId: "", number: 0 }): Promise<LogName | undefined> {
  const found: Row[] = [];
  for (const table of ["kms_logs", "kms_log_entries", "kms_log_hashes"]) {
    const columns = `select tenant_id, number from ${table}`;
    const next = "order by tenant_id, number limit 1";
    // Two looks, each of which begins where it ends: over both columns at once a database may read all of a log.
    const [own] = await query(`${columns} where tenant_id = ?1 and number > ?2 ${next}`, after.tenantId, after.number);
    const [other] = own ? [own] : await query(`${columns} where tenant_id > ?1 ${next}`, after.tenantId);
    if (other) found.push(other);
  }
  const [first] = found
    .map(({ tenant_id, number }) => ({ tenantId: String(tenant_id), number: Number(number) }))
    .sort((a, b) => compareText(a.tenantId, b.tenantId) || a.number - b.number);
  if (first !== undefined) onward("the logs", [after.tenantId, after.number], [first.tenantId, first.number]);
  return first;
}

/** A head that is not authentic is found with the other rows. */
async function beginLog({ query, mac }: Moment, { tenantId, number }: LogName) {
  const [row] = await query("select * from kms_logs where tenant_id = ?1 and number = ?2", tenantId, number);
  const name = { tenantId, number };
  if (row === undefined) return { found: contentProblem(name, "has entries or hashes and no head") };
  const head = authentic(() => headOf(mac, row));
  if (head === undefined) return {};
  const beyond = await beyondHead(query, head);
  if (beyond !== undefined) return { head, found: contentProblem(name, beyond) };
  return { head };
}

/** Chunks that begin where the log ends, or where it has no hashes. */
async function beyondHead(query: Query, { tenantId, number, size }: LogHead): Promise<string | undefined> {
  const [entry] = await query(
    "select start from kms_log_entries where tenant_id = ?1 and number = ?2 and start >= ?3 order by start limit 1",
    tenantId,
    number,
    size,
  );
  if (entry !== undefined) return `there are entries from ${entry.start} on, where the head ends: it was set back`;
  for (const level of [0, ...upperLevels]) {
    const [hash] = await query(
      `select start from kms_log_hashes
       where tenant_id = ?1 and number = ?2 and level = ?3 and start >= ?4 order by start limit 1`,
      tenantId,
      number,
      level,
      nodesIn(size, level * tileHeight),
    );
    if (hash !== undefined) return `there are hashes of level ${level} from ${hash.start} on, where the log ends`;
  }
  const outside = "select level from kms_log_hashes where tenant_id = ?1 and number = ?2 and level";
  const [low] = await query(`${outside} < 0 limit 1`, tenantId, number);
  const [high] = await query(`${outside} > ${upperLevels.length} limit 1`, tenantId, number);
  const level = (low ?? high)?.level;
  return level === undefined ? undefined : `there are hashes of level ${level}, which no log has`;
}

interface Growing {
  entries: number;
  /** Undefined at the end of the log, or behind the first thing that is wrong. */
  tree?: Tree;
  wrong?: string;
}

/** The next bundle, up to the target. */
async function growByBundle(
  query: Query,
  log: LogName,
  { tree, target }: NonNullable<LogPlace["begun"]>,
): Promise<Growing> {
  if (tree.size === target.size) return { entries: 0, ...headProblem(tree, target) };
  const bundle = Math.floor(tree.size / fullTile);
  const count = Math.min(fullTile, target.size - tree.size);
  const read = async () => leavesOf(await readEntries(query, log, bundle), count);
  const leaves = await orDamaged(read);
  if (typeof leaves === "string") return { entries: 0, wrong: leaves };
  const present = leaves.length / hashBytes;
  if (present < count) {
    return { entries: 0, wrong: `the entries from ${tree.size + present} on are missing, of ${target.size}` };
  }
  const growth = growTree(tree, leaves);
  const levels = await orDamaged(async () => {
    for (const level of [0, ...upperLevels]) {
      const wrong = await differentHash(query, log, level, newNodes(growth, level * tileHeight));
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  });
  if (levels !== undefined) return { entries: count, wrong: levels };
  const { size, frontier } = growth.after;
  return { entries: count, tree: { size, frontier: new Uint8Array(frontier) } };
}

function headProblem(tree: Tree, target: Target): Pick<Growing, "wrong"> {
  const isHead =
    Buffer.compare(rootOf(tree), target.root) === 0 && Buffer.compare(tree.frontier, target.frontier) === 0;
  return isHead ? {} : { wrong: "the entries do not lead to the root of the head" };
}

/** Hashes of the first `count` entries of a bundle, or of as many as there are. */
function leavesOf(bundle: Uint8Array, count: number): Uint8Array | string {
  const offsets = entryOffsets(bundle);
  if (offsets === undefined) return "entries are not in their form";
  const leaves = offsets
    .slice(0, -1)
    .slice(0, count)
    .map((at, index) => leafHash(bundle.subarray(at + lengthBytes, offsets[index + 1])));
  return Buffer.concat(leaves);
}

/** Compares stored hashes with those that they should be, and gives the first difference. They lie in one tile, because a bundle does. */
async function differentHash(
  query: Query,
  log: LogName,
  level: number,
  { start, hashes }: ReturnType<typeof newNodes>,
): Promise<string | undefined> {
  if (hashes.length === 0) return undefined;
  const tile = await readHashes(query, log, level, Math.floor(start / fullTile));
  const from = (start % fullTile) * hashBytes;
  for (let at = 0; at < hashes.length; at += hashBytes) {
    const stored = tile.subarray(from + at, from + at + hashBytes);
    const index = start + at / hashBytes;
    if (stored.length < hashBytes) return `hash ${index} of level ${level} is missing`;
    if (Buffer.compare(stored, hashes.subarray(at, at + hashBytes)) === 0) continue;
    if (level === 0) return `entry ${index} or its hash was altered`;
    return `hash ${index} of level ${level} is not that of the entries below it`;
  }
  return undefined;
}

/** Gives the result of `read`; or a sentence, if the bytes that it reads are not as they were written. */
async function orDamaged<T>(read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof KmsError && error.code === "DATA_LOSS") return "entries or hashes are not in their form";
    throw error;
  }
}

function authentic<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function contentProblem({ tenantId, number }: LogName, what: string): RowProblem {
  return logProblem("log_content", { tenant_id: tenantId, number }, `log ${number}: ${what}`);
}
