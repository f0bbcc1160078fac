/**
 * Compares the tables of a SQLite file with their indexes, a piece at a time: every row has its entry in each index, and every entry leads to
 * a row that has its values. With the HMACs of all rows this finds what `pragma integrity_check` finds but for unused pages, and that pragma
 * reads the whole file in one statement.
 */
import type { DatabaseIndexes, Query, Row } from "../sql/rows/database.ts";
import type { RowValue } from "../sql/rows/mac.ts";
import { onward } from "../sql/rows/walk.ts";
import type { RowProblem } from "../row-problem.ts";

interface Index {
  name: string;
  table: string;
  columns: Column[];
  /** The condition under which a row has an entry; undefined for an index over all rows. */
  condition: string | undefined;
}

/** SQL of what an index is over, a column or an expression, in a row of the table by this name; of the only table without one. */
type Column = (row?: string) => string;

interface IndexPlace {
  /** Place in the list of steps: each table's rows, then each index' entries. */
  step: number;
  /** The newest row when the step began: later ones are left to the next pass, or this one would follow them without end. */
  until?: number;
  /** The last row. */
  rowid?: number;
  /** The last entry's values, without its row. */
  values?: RowValue[];
  /** How many of its first values the next entries share with the last one. */
  shared?: number;
}

type Step = { table: string; indexes: Index[] } | { index: Index };

const pageRows = 500;
/** More in one piece are not told. */
const mostProblems = 20;
const firstRowid = Number.MIN_SAFE_INTEGER;

export function sqliteIndexes(): DatabaseIndexes {
  let known: Promise<Step[]> | undefined;
  const stepsOf = (query: Query) => {
    known ??= readSteps(query);
    known.catch(() => {
      known = undefined;
    });
    return known;
  };

  return {
    async rows(query) {
      const steps = await stepsOf(query);
      let rows = 0;
      for (const step of steps) rows += Math.max(0, await newestRow(query, step));
      return rows;
    },

    async examine(query, at) {
      const place = (at ?? { step: 0 }) as IndexPlace;
      const steps = await stepsOf(query);
      const step = steps[place.step];
      if (step === undefined) return { rows: 0, problems: [], next: undefined };
      const { until = await newestRow(query, step) } = place;
      const piece =
        "index" in step
          ? await entriesPiece(query, step.index, { ...place, until })
          : await rowsPiece(query, step, { ...place, until });
      const isLast = place.step + 1 === steps.length;
      return { ...piece, next: piece.next ?? (isLast ? undefined : { step: place.step + 1 }) };
    },
  };
}

async function newestRow(query: Query, step: Step): Promise<number> {
  const table = "index" in step ? step.index.table : step.table;
  const [newest] = await query(`select max(rowid) as rowid from ${table}`);
  return Number(newest?.rowid ?? firstRowid);
}

async function readSteps(query: Query): Promise<Step[]> {
  const tables = await query("select name from sqlite_schema where type = 'table' and name like 'kms_%' order by name");
  const rows = await query("select name, tbl_name, sql from sqlite_schema where type = 'index' order by name");
  const indexes: Index[] = [];
  for (const { name, tbl_name, sql } of rows) {
    const columns = await query("select name from pragma_index_info(?1) order by seqno", name!);
    const all = (await query("select name from pragma_table_info(?1)", tbl_name!)).map((column) => String(column.name));
    const [, own = "", condition] = /\((.*?)\)(?:\s+where\s(.*))?$/s.exec(String(sql ?? "")) ?? [];
    indexes.push({
      name: String(name),
      table: String(tbl_name),
      columns: columns.map((column) =>
        column.name === null ? expression(own, all) : (row) => (row ? `${row}.${column.name}` : String(column.name)),
      ),
      condition,
    });
  }
  const ofTables = tables
    .map(({ name }) => ({ table: String(name), indexes: indexes.filter(({ table }) => table === name) }))
    .filter((each) => each.indexes.length > 0);
  return [...ofTables, ...indexes.map((index) => ({ index }))];
}

/** SQLite does not name what an index over an expression is over: it is the only thing in that index. */
function expression(sql: string, columns: readonly string[]): Column {
  return (row) => (row ? sql.replace(/\w+/g, (word) => (columns.includes(word) ? `${row}.${word}` : word)) : sql);
}

type BegunPlace = IndexPlace & Required<Pick<IndexPlace, "until">>;

interface StepPiece {
  rows: number;
  problems: RowProblem[];
  next: IndexPlace | undefined;
}

/** Rows by their place in the table, each looked up in every index. */
async function rowsPiece(
  query: Query,
  { table, indexes }: { table: string; indexes: Index[] },
  { step, until, rowid = firstRowid }: BegunPlace,
): Promise<StepPiece> {
  const [page] = await query(
    `select max(id) as last, count(*) as count from
       (select rowid as id from ${table} not indexed where rowid > ?1 and rowid <= ?2 order by rowid limit ${pageRows})`,
    rowid,
    until,
  );
  const rows = Number(page!.count);
  if (rows === 0) return { rows, problems: [], next: undefined };
  const [last] = onward(table, [rowid], [Number(page!.last)]);
  const problems: RowProblem[] = [];
  for (const { name, columns, condition = "1 = 1" } of indexes) {
    const same = columns.map((column) => `${column("entry")} is ${column("row")}`).join(" and ");
    const missing = await query(
      `select ${nameColumns(table)} from ${table} as row not indexed
       where row.rowid > ?1 and row.rowid <= ?2 and ${condition} and not exists (
         select 1 from ${table} as entry indexed by ${name} where ${condition} and ${same} and entry.rowid = row.rowid
       ) limit ${mostProblems}`,
      rowid,
      last,
    );
    problems.push(...missing.map((row) => indexProblem(table, row, `index ${name} lacks a row that is there`)));
  }
  return { rows, problems, next: rows < pageRows ? undefined : { step, until, rowid: last } };
}

/** Entries in the order of the index. Behind the last one come those that share all its values, then those that share one less … */
async function entriesPiece(query: Query, index: Index, place: BegunPlace): Promise<StepPiece> {
  const { name, table, columns, condition = "1 = 1" } = index;
  const { step, until, rowid, values = [], shared = 0 } = place;
  const { where, parameters } = behind(columns, place);
  const read = columns.map((column, at) => `${column()} as v${at}`).join(", ");
  const same = columns.map((column, at) => `${column("row")} is entry.v${at}`).join(" and ");
  const entries = await query(
    `select entry.*, row.rowid is not null as present, ${same} as same, ${nameColumns(table)}
     from (select ${read}, rowid as at from ${table} indexed by ${name}
           where ${condition} and ${where} and rowid <= ?${parameters.push(until)} order by ${[...columns.map((column) => column()), "rowid"].join(", ")} limit ${pageRows}) as entry
     left join ${table} as row on row.rowid = entry.at`,
    ...parameters,
  );
  const wrong = entries.filter(({ present, same: isSame }) => present !== 1 || isSame !== 1).slice(0, mostProblems);
  const problems = wrong.map((row) =>
    indexProblem(table, row, `index ${name} leads to ${row.present === 1 ? "another row than it says" : "no row"}`),
  );
  const rows = entries.length;
  if (rows === pageRows) {
    const last = entries.at(-1)!;
    const own = columns.map((_, at) => last[`v${at}`] ?? null);
    onward(`index ${name}`, rowid === undefined ? undefined : [...values, rowid], [...own, Number(last.at)]);
    return { rows, problems, next: { step, until, rowid: Number(last.at), values: own, shared: own.length } };
  }
  // Entries that come behind these meanwhile are left to the next pass.
  const isOver = rowid === undefined || shared === 0;
  return { rows, problems, next: isOver ? undefined : { step, until, rowid, values, shared: shared - 1 } };
}

/** The condition of entries that share their first `shared` values with the last one and come behind it. An entry without a value comes first. */
function behind(columns: readonly Column[], { rowid, values = [], shared = 0 }: IndexPlace) {
  if (rowid === undefined) return { where: "1 = 1", parameters: [] };
  const parameters: RowValue[] = [];
  const conditions = columns
    .slice(0, shared)
    .map((column, at) =>
      values[at] === null ? `${column()} is null` : `${column()} = ?${parameters.push(values[at]!)}`,
    );
  if (shared === columns.length) conditions.push(`rowid > ?${parameters.push(rowid)}`);
  else if (values[shared] === null) conditions.push(`${columns[shared]!()} is not null`);
  else conditions.push(`${columns[shared]!()} > ?${parameters.push(values[shared]!)}`);
  return { where: conditions.join(" and "), parameters };
}

/** Columns by which a problem names a row. */
function nameColumns(table: string): string {
  if (table === "kms_keys") return "row.tenant_id as tenant, row.key_id as key, null as log";
  if (table.startsWith("kms_log")) return "row.tenant_id as tenant, null as key, row.number as log";
  return "null as tenant, null as key, null as log";
}

function indexProblem(table: string, { tenant, key, log }: Row, what: string): RowProblem {
  const tenantId = String(tenant ?? "");
  const number = log === null ? {} : { log: Number(log) };
  return {
    kind: "index",
    tenantId,
    keyId: String(key ?? ""),
    purpose: undefined,
    ...number,
    what: `${table}: ${what}`,
  };
}
