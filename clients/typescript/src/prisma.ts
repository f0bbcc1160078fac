/**
 * A Prisma client extension that keeps columns with PII as tokens: all rows and columns that a query writes are encrypted in one call, all
 * that it returns, with those of relations, are decrypted in one call. It imports nothing of Prisma, and is tested with Prisma 7.
 */
import type { Kms } from "./kms.ts";
import { decryptRecord, encryptRecord } from "./records.ts";

/** What the extension needs of `Prisma.TypeMap`, which Prisma generates. */
export interface PrismaTypeMap {
  readonly model: {
    readonly [Model: string]: { readonly payload: { readonly objects: object; readonly scalars: object } };
  };
}

type Models<TypeMap extends PrismaTypeMap> = TypeMap["model"];
type Scalars<
  TypeMap extends PrismaTypeMap,
  Model extends keyof Models<TypeMap>,
> = Models<TypeMap>[Model]["payload"]["scalars"];
type Relations<
  TypeMap extends PrismaTypeMap,
  Model extends keyof Models<TypeMap>,
> = Models<TypeMap>[Model]["payload"]["objects"];
type NameOf<Payload> = Payload extends { name: infer Name } ? Name : never;

/** `true` for columns of text and bytes; no enums, lists, JSON or numbers. */
type IsPii<Scalar> = [Scalar] extends [string]
  ? string extends Scalar
    ? true
    : false
  : [Scalar] extends [Uint8Array]
    ? true
    : false;

/**
 * The columns that are PII, by model and column. Each is encrypted under a name, and a token opens only under that: `true` is the name
 * `Model.column`, and text is another one, such as that of before the column was renamed.
 */
export type PiiColumns<TypeMap extends PrismaTypeMap> = {
  readonly [Model in keyof Models<TypeMap>]?: {
    readonly [Column in keyof Scalars<TypeMap, Model>]?: IsPii<
      NonNullable<Scalars<TypeMap, Model>[Column]>
    > extends true
      ? string | true
      : never;
  };
};

/** The relations of each model that has any, with the model that each leads to. All must be there: what is written through one is encrypted. */
export type ModelRelations<TypeMap extends PrismaTypeMap> = {
  readonly [Model in keyof Models<TypeMap> as keyof Relations<TypeMap, Model> extends never ? never : Model]: {
    readonly [Relation in keyof Relations<TypeMap, Model>]: NonNullable<
      Relations<TypeMap, Model>[Relation]
    > extends infer Payload
      ? NameOf<Payload extends readonly (infer Each)[] ? Each : Payload>
      : never;
  };
};

export interface PiiExtensionOptions<TypeMap extends PrismaTypeMap> {
  kms: Pick<Kms, "encryptPii" | "decryptPii">;
  /** The tenant, or a function that is asked for it once a query that has PII, such as for that of the request. */
  tenantId: string | (() => string);
  columns: PiiColumns<TypeMap>;
  relations: ModelRelations<TypeMap>;
  /** Pairs that are no secret, and are the same for all queries: tokens open only with them. */
  context?: { readonly [name: string]: string };
}

/** An argument of `$extends`, as far as its types need it. */
export interface PiiExtension {
  name: string;
  query: { $allModels: { $allOperations<Result>(query: ModelQuery<Result>): Promise<Result> } };
}

interface ModelQuery<Result> {
  model: string;
  operation: string;
  args: unknown;
  query: (args: never) => PromiseLike<Result>;
}

/**
 * Makes the extension, for `new PrismaClient(…).$extends(piiExtension<Prisma.TypeMap>({ … }))`. Text becomes the token's text, bytes become
 * its ASCII bytes; null stays null, and empty values are encrypted. A query that needs no value of a marked column makes no call.
 *
 * Queries reject with a `RecordError`, which names each value that does not open as in `Customer[3].orders[0].address`, and with a `TypeError`
 * if they search, sort or group by a marked column, of which the database has tokens alone. `null` may be searched for. Raw queries and
 * aggregates are not decrypted.
 */
export function piiExtension<TypeMap extends PrismaTypeMap>(options: PiiExtensionOptions<TypeMap>): PiiExtension {
  const { kms, tenantId, context = {} } = options;
  const schema = schemaOf(options.columns, options.relations);
  return {
    name: "fluo-kms",
    query: {
      $allModels: {
        async $allOperations({ model, operation, args, query }) {
          const slots: Slot[] = [];
          const about = args === undefined ? args : argsOf(schema, model, args, slots);
          let known: string | undefined;
          const tenant = () => (known ??= typeof tenantId === "string" ? tenantId : tenantId());
          await replaceEach(slots, (record, names) => encryptRecord(kms, tenant(), record, names, { context }));
          const result = await query(about as never);
          if (returnsRows.has(operation)) {
            const found = foundIn(schema, model, args, result);
            await replaceEach(found, (record, names) => decryptRecord(kms, tenant(), record, names, { context }));
          }
          return result;
        },
      },
    },
  };
}

/** A value that is to be replaced in its row. */
interface Slot {
  row: Row;
  column: string;
  /** For errors. */
  path: string;
  name: string;
  value: string | Uint8Array;
}

interface Row {
  [member: string]: unknown;
}

/** By model: the names of marked columns, and the models of relations. */
type Schema = ReadonlyMap<string, ModelSchema>;

interface ModelSchema {
  columns: ReadonlyMap<string, string>;
  relations: ReadonlyMap<string, string>;
}

const unmarked: ModelSchema = { columns: new Map(), relations: new Map() };

/** The others return counts and aggregates. */
const returnsRows: ReadonlySet<string> = new Set([
  ...["findUnique", "findUniqueOrThrow", "findFirst", "findFirstOrThrow", "findMany", "delete", "upsert"],
  ...["create", "createManyAndReturn", "update", "updateManyAndReturn"],
]);

/** Bounds of a call: the service takes 1,000 fields and 4 MiB. */
const maxFields = 1_000;
const maxBytes = 2 * 1024 * 1024;

function schemaOf(columns: object, relations: object): Schema {
  const schema = new Map<string, ModelSchema>();
  for (const model of new Set([...Object.keys(columns), ...Object.keys(relations)])) {
    const names = Object.entries((columns as Row)[model] ?? {}).filter(([, name]) => name !== undefined);
    schema.set(model, {
      columns: new Map(names.map(([column, name]) => [column, name === true ? `${model}.${column}` : String(name)])),
      relations: new Map(Object.entries((relations as { [model: string]: Record<string, string> })[model] ?? {})),
    });
  }
  return schema;
}

/** Replaces the values of all slots when all are known, by as few calls as the bounds allow. */
async function replaceEach(
  slots: readonly Slot[],
  call: (
    record: Record<string, string | Uint8Array>,
    names: Record<string, string>,
  ) => Promise<Record<string, unknown>>,
): Promise<void> {
  const replaced: unknown[] = [];
  for (const chunk of chunksOf(slots)) {
    const record = Object.fromEntries(chunk.map(({ path, value }) => [path, value]));
    const done = await call(record, Object.fromEntries(chunk.map(({ path, name }) => [path, name])));
    replaced.push(...chunk.map(({ path }) => done[path]));
  }
  for (const [i, { row, column }] of slots.entries()) row[column] = replaced[i];
}

function chunksOf(slots: readonly Slot[]): Slot[][] {
  const chunks: Slot[][] = [];
  let bytes = 0;
  for (const slot of slots) {
    // No more than this in UTF-8, beside what surrounds a value.
    const size = (typeof slot.value === "string" ? 3 : 1) * slot.value.length + slot.name.length + 16;
    if (chunks.length === 0 || chunks.at(-1)!.length === maxFields || bytes + size > maxBytes) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)!.push(slot);
    bytes += size;
  }
  return chunks;
}

/** Returns a copy of a query's arguments in which the slots can be replaced. */
function argsOf(schema: Schema, model: string, args: unknown, slots: Slot[]): unknown {
  refuseSearch(schema, model, args);
  return isObject(args) ? writeOf(schema, model, args, model, slots) : args;
}

/** What has data of a row, or of several, in `data`, or in `create` and `update`. */
function writeOf(schema: Schema, model: string, write: Row, path: string, slots: Slot[]): Row {
  const copy = copyOf(write);
  if (copy.data !== undefined) copy.data = dataOf(schema, model, copy.data, path, slots);
  for (const member of ["create", "update"])
    if (copy[member] !== undefined) copy[member] = dataOf(schema, model, copy[member], `${path}.${member}`, slots);
  return copy;
}

function dataOf(schema: Schema, model: string, data: unknown, path: string, slots: Slot[]): unknown {
  if (Array.isArray(data)) return data.map((row, i) => dataOf(schema, model, row, `${path}[${i}]`, slots));
  if (!isObject(data)) return data;
  const { columns, relations } = schema.get(model) ?? unmarked;
  const copy = copyOf(data);
  for (const [member, value] of Object.entries(copy)) {
    const at = `${path}.${member}`;
    const name = columns.get(member);
    const related = relations.get(member);
    if (name !== undefined) copy[member] = columnOf({ row: copy, column: member, path: at, name }, slots);
    else if (related !== undefined) copy[member] = nestedOf(schema, related, value, at, slots);
    else if (isNestedWrite(value))
      throw new TypeError(`${at}: is written to, and is not among the relations of ${model}`);
  }
  return copy;
}

/** Returns what stands in the place of a column's value until the slot is replaced. */
function columnOf(place: Omit<Slot, "value">, slots: Slot[]): unknown {
  const value = place.row[place.column];
  if (value === undefined || value === null) return value;
  if (typeof value === "string" || value instanceof Uint8Array) {
    slots.push({ ...place, value });
    return value;
  }
  if (!isObject(value) || !("set" in value) || (isObject(value.set) && !(value.set instanceof Uint8Array)))
    throw new TypeError(`${place.path}: is encrypted, and takes text, bytes, null or { set }`);
  const row = copyOf(value);
  columnOf({ ...place, row, column: "set" }, slots);
  return row;
}

/** What is written through a relation to `model`. */
function nestedOf(schema: Schema, model: string, writes: unknown, path: string, slots: Slot[]): unknown {
  if (!isObject(writes)) return writes;
  const copy = copyOf(writes);
  for (const [operation, value] of Object.entries(copy)) {
    const at = `${path}.${operation}`;
    if (operation === "create") copy.create = dataOf(schema, model, value, at, slots);
    else if (writing.has(operation)) copy[operation] = eachOf(value, at, nestedWrite(operation));
    else for (const each of [value].flat()) refuseWhere(schema, model, each);
  }
  return copy;

  function nestedWrite(operation: string) {
    return (write: unknown, at: string): unknown => {
      if (!isObject(write)) return write;
      // An update of the one row of a relation is the data alone, or has it in `data`.
      if (operation === "update" && !isObject(write.data)) return dataOf(schema, model, write, at, slots);
      refuseWhere(schema, model, write.where);
      return writeOf(schema, model, write, at, slots);
    };
  }
}

function eachOf(value: unknown, path: string, change: (each: unknown, path: string) => unknown): unknown {
  return Array.isArray(value) ? value.map((each, i) => change(each, `${path}[${i}]`)) : change(value, path);
}

const writing: ReadonlySet<string> = new Set([
  ...["create", "createMany", "connectOrCreate", "upsert", "update", "updateMany"],
]);

const nested: ReadonlySet<string> = new Set([...writing, ...["connect", "disconnect", "set", "delete", "deleteMany"]]);

/** Whether an object is data of another model, or JSON that looks just so. */
function isNestedWrite(value: unknown): boolean {
  if (!isObject(value)) return false;
  const members = Object.entries(value);
  return (
    members.every(([member]) => nested.has(member)) &&
    members.some(([member, data]) => writing.has(member) && typeof data === "object" && data !== null)
  );
}

/** Refuses what the database cannot do with tokens, in the arguments of a query and of what it includes. */
function refuseSearch(schema: Schema, model: string, args: unknown): void {
  if (!isObject(args)) return;
  const { relations } = schema.get(model) ?? unmarked;
  for (const filter of ["where", "cursor", "having"]) refuseWhere(schema, model, args[filter]);
  for (const order of [args.orderBy].flat()) refuseOrder(schema, model, order);
  for (const column of [args.distinct, args.by].flat()) refuseColumn(schema, model, column);
  for (const aggregate of [args._min, args._max])
    for (const column of isObject(aggregate) ? Object.keys(aggregate) : []) refuseColumn(schema, model, column);
  for (const selection of [args.include, args.select])
    for (const [member, selected] of Object.entries(isObject(selection) ? selection : {})) {
      if (member === "_count") refuseSearch(schema, model, selected);
      else if (relations.has(member)) refuseSearch(schema, relations.get(member)!, selected);
    }
}

function refuseWhere(schema: Schema, model: string, where: unknown): void {
  if (!isObject(where)) return;
  const { columns, relations } = schema.get(model) ?? unmarked;
  for (const [member, filter] of Object.entries(where)) {
    const related = relations.get(member);
    if (columns.has(member)) {
      if (!isAboutNull(filter)) refuseColumn(schema, model, member);
    } else if (related !== undefined) {
      refuseWhere(schema, related, filter);
      if (isObject(filter))
        for (const how of ["some", "every", "none", "is", "isNot"]) refuseWhere(schema, related, filter[how]);
    } else if (["AND", "OR", "NOT"].includes(member))
      for (const each of [filter].flat()) refuseWhere(schema, model, each);
    // The columns of a compound key.
    else if (isObject(filter)) for (const column of Object.keys(filter)) refuseColumn(schema, model, column);
  }
}

function refuseOrder(schema: Schema, model: string, order: unknown): void {
  if (!isObject(order)) return;
  for (const member of Object.keys(order)) {
    refuseColumn(schema, model, member);
    const related = schema.get(model)?.relations.get(member);
    if (related !== undefined) refuseOrder(schema, related, order[member]);
  }
}

function refuseColumn(schema: Schema, model: string, column: unknown): void {
  if (typeof column === "string" && schema.get(model)?.columns.has(column))
    throw new TypeError(`${model}.${column}: is encrypted, and cannot be searched, sorted or grouped by`);
}

/** Whether a filter asks for nothing but null. */
function isAboutNull(filter: unknown): boolean {
  if (filter === null || filter === undefined) return true;
  const conditions = isObject(filter) ? Object.entries(filter) : [];
  return conditions.length > 0 && conditions.every(([how, value]) => ["equals", "not"].includes(how) && value === null);
}

/** The tokens in what a query returns. */
function foundIn(schema: Schema, model: string, args: unknown, result: unknown): Slot[] {
  const slots: Slot[] = [];
  const [of, path] = returned(schema, model, args, result);
  collect(schema, of, result, path, { slots, seen: new Set() });
  return slots;
}

/**
 * The model of the rows that a query returns. `findUnique(…).orders()` asks for the selection of `orders` alone, and returns what is in it; a
 * query with such a selection of its own returns an object with that one member.
 */
function returned(schema: Schema, model: string, args: unknown, result: unknown): [model: string, path: string] {
  const select = isObject(args) ? args.select : undefined;
  const [member, ...others] = isObject(select) ? Object.keys(select) : [];
  const related = member === undefined ? undefined : schema.get(model)?.relations.get(member);
  if (related === undefined || others.length > 0 || result === null || typeof result !== "object")
    return [model, model];
  const members = Object.keys(Array.isArray(result) ? (result[0] ?? {}) : result);
  if (members.length === 1 && members[0] === member) return [model, model];
  return returned(schema, related, (select as Row)[member!], result);
}

function collect(
  schema: Schema,
  model: string,
  row: unknown,
  path: string,
  found: { slots: Slot[]; seen: Set<unknown> },
): void {
  if (Array.isArray(row)) for (const [i, each] of row.entries()) collect(schema, model, each, `${path}[${i}]`, found);
  // A row may be in the result twice.
  else if (typeof row === "object" && row !== null && !found.seen.has(row)) {
    found.seen.add(row);
    const { columns, relations } = schema.get(model) ?? unmarked;
    for (const [column, name] of columns) {
      const value = (row as Row)[column];
      if (typeof value === "string" || value instanceof Uint8Array)
        found.slots.push({ row: row as Row, column, path: `${path}.${column}`, name, value });
    }
    for (const [relation, related] of relations)
      collect(schema, related, (row as Row)[relation], `${path}.${relation}`, found);
  }
}

/** Members as Prisma reads them, with those that are inherited. */
function copyOf(object: Row): Row {
  const copy: Row = {};
  for (const member in object) copy[member] = object[member];
  return copy;
}

/** Instances of classes included: what is not looked into is written in clear. */
function isObject(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
