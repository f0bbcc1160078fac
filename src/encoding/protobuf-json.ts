/** Scalars in the JSON of protobuf messages, read before protobuf-es sees them: it takes numbers in all spellings that BigInt and Number take. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { invalidField, type KmsError } from "../errors.ts";
import { eitherBase64 } from "./base64.ts";
import { nearestDouble, SpelledNumber, wholeNumber } from "./json-number.ts";

/** The value of a scalar or an enum, or of an item of a list of them, which is not null. */
export type ScalarReader = (field: DescField, value: unknown) => unknown;

/**
 * Replaces each scalar of a tree by what `read` returns. The tree is of readJson, with spelledNumber. What fits no field is left for protobuf-es to
 * refuse.
 */
export function readScalars(desc: DescMessage, json: unknown, read: ScalarReader): unknown {
  const fields = fieldsOf(desc);
  if (fields === undefined || typeof json !== "object" || json === null) return asDoubles(json);
  const members = json as Record<string, unknown>;
  for (const name of Object.keys(members)) {
    const field = fields.get(name);
    members[name] = field === undefined ? asDoubles(members[name]) : readField(field, members[name], read);
  }
  return members;
}

function readField(field: DescField, value: unknown, read: ScalarReader): unknown {
  if (value === null) return null;
  if (field.fieldKind === "list" && Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) value[i] = readValue(field, value[i], read);
    return value;
  }
  if (field.fieldKind === "list" || field.fieldKind === "map") return asDoubles(value);
  return readValue(field, value, read);
}

function readValue(field: DescField, value: unknown, read: ScalarReader): unknown {
  if (value === null) return null;
  return field.message === undefined ? read(field, value) : readScalars(field.message, value, read);
}

/** Reads numbers by {@link readNumber}, and bytes of spans in their one spelling. A verifier must read the same from the text that was signed. */
export function readExactly(field: DescField, value: unknown): unknown {
  const isOfSpan = field.scalar === ScalarType.BYTES && field.parent.file.name === "fluo/kms/v1/span";
  if (!isOfSpan || typeof value !== "string") return readNumber(field, value);
  const bytes = eitherBase64(value);
  if (bytes === undefined) throw invalidField(field.name, "must be base64, without white space or stray bits");
  return Buffer.from(bytes).toString("base64");
}

/** A number of a numeric field in JSON's spelling, as protobuf-es reads it exactly; other fields' values as they are. Throws INVALID_ARGUMENT. */
function readNumber(field: DescField, value: unknown): unknown {
  if (field.enum !== undefined) return typeof value === "string" ? value : Number(wholeAt(field, spellingOf(value)));
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return doubleAt(field, value);
    case ScalarType.BOOL:
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return asDoubles(value);
    default:
      return String(wholeAt(field, spellingOf(value)));
  }
}

const noNumbers: readonly unknown[] = ["NaN", "Infinity", "-Infinity"];

function doubleAt(field: DescField, value: unknown): unknown {
  if (noNumbers.includes(value)) return value;
  const double = nearestDouble(spellingOf(value));
  if (double === undefined) throw notItsNumber(field);
  return double;
}

function wholeAt(field: DescField, spelling: string): bigint {
  const whole = wholeNumber(spelling);
  if (whole === undefined) throw notItsNumber(field);
  return whole;
}

function notItsNumber({ name }: DescField): KmsError {
  const description =
    "must be a number as JSON writes it, in a string or not; for an integer a whole one, within its range";
  return invalidField(name, description);
}

/** Empty for what is neither a number nor a text. */
function spellingOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof SpelledNumber) return value.spelling;
  return typeof value === "number" ? String(value) : "";
}

function asDoubles(value: unknown): unknown {
  if (value instanceof SpelledNumber) return Number(value.spelling);
  if (typeof value !== "object" || value === null) return value;
  const members = value as Record<string, unknown>;
  for (const [name, inner] of Object.entries(members)) members[name] = asDoubles(inner);
  return members;
}

const tables = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** The fields of a message by either name; undefined for a message of google.protobuf, which has a JSON of its own. */
function fieldsOf(desc: DescMessage): ReadonlyMap<string, DescField> | undefined {
  if (desc.typeName.startsWith("google.protobuf.")) return undefined;
  const known = tables.get(desc);
  if (known !== undefined) return known;
  const fields = new Map(
    desc.fields.flatMap((field) => [
      [field.name, field],
      [field.jsonName, field],
    ]),
  );
  tables.set(desc, fields);
  return fields;
}
