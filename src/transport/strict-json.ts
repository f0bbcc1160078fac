/**
 * JSON requests, strictly. The text is read by encoding/json.ts, so that protobuf-es gets values and parses nothing. It quotes in its
 * errors the value that is wrong; ours name the field alone.
 */
import {
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { JsonError, readJson } from "../encoding/json.ts";
import { spelledNumber } from "../encoding/json-number.ts";
import { readExactly, readScalars } from "../encoding/protobuf-json.ts";
import { invalidField, KmsError } from "../errors.ts";

const maxNameLength = 64;

/** The message of a JSON text. Throws INVALID_ARGUMENT. */
export function checkedJson<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const json = readScalars(desc, readJson(text, isObject(desc) ? plainNumber : spelledNumber), readExactly);
    // A misspelt field must not be taken for one that was left out.
    return fromJson(desc, json as JsonValue, { ignoreUnknownFields: false });
  } catch (cause) {
    throw cause instanceof KmsError ? cause : refusal(desc, cause);
  }
}

function isObject({ typeName }: DescMessage): boolean {
  return typeName === StructSchema.typeName;
}

/** A number of an object whose members have no types: a whole one that a double holds. */
function plainNumber(spelling: string, name: string): number {
  const number = spelledNumber(spelling);
  if (typeof number === "number") return number;
  throw madeUpName(name, "must be a whole number, and at most 2^53");
}

/** Any object, read as strictly; an empty one for an empty body. Throws INVALID_ARGUMENT. */
export function checkedObject(bytes: Uint8Array): JsonObject {
  return bytes.length === 0 ? {} : (toJson(StructSchema, checkedJson(StructSchema, bytes)) as JsonObject);
}

const misread = "is not what protobuf's JSON has there: check type, range, base64 and UTF-8";
/** What protobuf-es says where it names a member, and what we say of it. A name that the caller made up stays out of the log. */
const namings: { says: RegExp; description: string; madeUp: boolean }[] = [
  { says: /: key "(.*)" is unknown$/s, description: "is unknown", madeUp: true },
  { says: /^cannot decode (?:field|oneof) (?:\w+\.)+(\w+) from JSON/, description: misread, madeUp: false },
];

/** protobuf-es names the field in its message only, as in `cannot decode field fluo.kms.v1.PlainField.value from JSON: …`. */
function refusal(desc: DescMessage, cause: unknown): KmsError {
  if (cause instanceof JsonError && cause.member !== undefined) return madeUpName(cause.member, "is there twice");
  const text = cause instanceof Error ? cause.message : "";
  for (const { says, description, madeUp } of namings) {
    const name = says.exec(text)?.[1];
    if (name === undefined) continue;
    return madeUp ? madeUpName(name, description) : invalidField(name, description);
  }
  const what = isObject(desc)
    ? "an object in JSON: check its syntax"
    : `a ${desc.typeName} in JSON: check its syntax, its enums`;
  const message = `the body is not ${what} and that it is UTF-8`;
  const violations = isObject(desc) ? [{ field: "", description: message }] : [];
  return new KmsError("INVALID_ARGUMENT", message, { violations, cause });
}

/** INVALID_ARGUMENT for a member whose name the caller made up: it goes back to the caller, and not into the log. */
export function madeUpName(name: string, description: string): KmsError {
  const field = shortName(name);
  const inLog = `a member of the JSON ${description}`;
  return new KmsError("INVALID_ARGUMENT", `${field}: ${description}`, {
    violations: [{ field, description }],
    inLog,
  });
}

/** A member's name as a caller made it up, short enough and well-formed for an error. */
export function shortName(name: string): string {
  return (name.length > maxNameLength ? `${name.slice(0, maxNameLength)}…` : name).toWellFormed();
}
