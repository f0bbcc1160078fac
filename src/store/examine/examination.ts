/** Everything that is examined of a store, part by part. */
import { hasCode } from "../../errors.ts";
import { verifyChains } from "../sql/audit.ts";
import { readCommits, sumsOf } from "../sql/commits.ts";
import type { Database } from "../sql/rows/database.ts";
import type { RowMac } from "../sql/rows/mac.ts";
import { forgiving } from "../sql/rows/tolerant-query.ts";
import type { Place } from "../sql/rows/walk.ts";
import type { AuditCursor } from "../audit-store.ts";
import type { ExamineCursor, IntegrityStore } from "../integrity-store.ts";
import type { RowProblem } from "../row-problem.ts";
import { examineKeyRows, type KeyPlace } from "./key-rows.ts";
import { examineVersions, type VersionPlace } from "./key-versions.ts";
import { examineLogs, type LogPlace } from "./log-rebuild.ts";
import { type Moment, type Part, type Piece, part } from "./part.ts";
import { chainProblem, describedTables, examineTable, plainProblem } from "./table-rows.ts";

const chainRows = 500;
/** How often a row is looked at: beside the trail and for its version; beside the records and in its chain. */
const looksAtRow = { keys: 2, events: 2 };

/** The cheapest first, so that what stops the whole service is known soon. */
const ownParts: readonly Part[] = [
  part("heads", examineHeads, { isTrail: true }),
  part<KeyPlace>("keys", withoutClocks),
  part<VersionPlace>("versions", examineVersions),
  ...describedTables.map((described) => part<Place>(described[0], (moment, at) => examineTable(moment, described, at))),
  part("audit", examineChains, { isTrail: true }),
  part<LogPlace>("logs", examineLogs),
];

/** Examines a store over `db`, whose rows are authenticated by `mac`. */
export function examination(db: Database, mac: RowMac): IntegrityStore {
  const { indexes } = db;
  const parts = [...ownParts];
  if (indexes) parts.push(part<unknown>("indexes", ({ query }, at) => indexes.examine(query, at)));
  return {
    async examine(from = { part: parts[0]!.name, at: undefined }) {
      const index = parts.findIndex(({ name }) => name === from.part);
      const own = parts[index]!;
      const nextPart: ExamineCursor | undefined = parts[index + 1] && { part: parts[index + 1]!.name, at: undefined };
      try {
        const piece = await db.moment((query) => own.examine({ query: forgiving(query), mac }, from.at));
        const next = piece.next === undefined ? nextPart : { part: own.name, at: piece.next };
        return { ...piece, next };
      } catch (error) {
        if (!hasCode(error, "DATA_LOSS")) throw error;
        // Rows behind damage that keeps a database from reading are not reached.
        return { rows: 0, problems: [unreadable(own, error.message)], next: nextPart };
      }
    },

    examinedRows: () =>
      db.read(async (query) => {
        const one = async (text: string) => Number((await query(text))[0]?.count ?? 0);
        const keys = await one("select count(*) as count from kms_keys");
        const events = await one("select sum(sequence) as count from kms_audit_writers");
        const entries = await one("select sum(size) as count from kms_logs");
        const indexed = (await indexes?.rows(query)) ?? 0;
        return keys * looksAtRow.keys + events * looksAtRow.events + entries + indexed;
      }),
  };
}

/** Clocks of replicas that differ are no reason to refuse a key. */
async function withoutClocks(moment: Moment, at?: KeyPlace): Promise<Piece<KeyPlace>> {
  const { problems, ...piece } = await examineKeyRows(moment, at);
  return { ...piece, problems: problems.filter(({ mayBeClocks }) => mayBeClocks !== true) };
}

function unreadable({ name, isTrail }: Part, why: string): RowProblem {
  return plainProblem(isTrail ? "audit_trail" : "file_damaged", `${name} cannot be read to its end: ${why}`);
}

/** Sums over the heads as they are, beside those that each commit of a SQLite store keeps. PostgreSQL has none. */
async function examineHeads({ query, mac }: Moment): Promise<Piece<never>> {
  const problems: RowProblem[] = [];
  const noted = await readCommits(query, mac).catch((error) => {
    if (!hasCode(error, "DATA_LOSS")) throw error;
    problems.push(plainProblem("heads", error.message));
    return undefined;
  });
  if (noted === undefined) return { rows: 0, problems, next: undefined };
  const present = await sumsOf(query);
  const tables = { kms_logs: "logs", kms_audit_writers: "audit writers" } as const;
  for (const table of ["kms_logs", "kms_audit_writers"] as const) {
    if (Buffer.compare(present[table], noted.sums[table]) === 0) continue;
    const what = `the heads of ${tables[table]} are not those that the last commit left: one was altered, removed or put back`;
    problems.push(plainProblem("heads", what));
  }
  return { rows: 0, problems, next: undefined };
}

async function examineChains({ query, mac }: Moment, at: AuditCursor | undefined): Promise<Piece<AuditCursor>> {
  const { events, problems, next } = await verifyChains(query, mac, at, chainRows);
  return {
    rows: events,
    problems: problems.map(chainProblem),
    next,
  };
}
