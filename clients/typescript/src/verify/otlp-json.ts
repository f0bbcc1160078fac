/**
 * Reads OTLP JSON, by protobuf's JSON mapping. A member that is unknown, or there by both of its names, is refused. Ids are in hex, as OTLP
 * writes them, or in base64, as protobuf's own printers do: the two have different lengths.
 */
import { base64Bytes, hexBytes } from "./bytes.ts";
import { JsonNumber, type JsonTree, numberForm } from "./json-tree.ts";
import { MalformedError } from "./malformed.ts";
import type { Field, Message, MessageType, Scalar, Value } from "./otlp.ts";

/** Messages nest at most this deep in protobuf's own readers, the export itself counted. */
const maxDepth = 100;

/** Throws MalformedError. */
export function readJson(type: MessageType, json: JsonTree, depth: number): Message {
  if (depth > maxDepth) throw new MalformedError("the JSON is nested too deeply");
  if (!(json instanceof Map)) throw new MalformedError("an object is missing in the JSON");
  const message = new Map<string, Value>();
  const seen = new Set<Field>();
  let hasMember = false;
  for (const [name, value] of json as ReadonlyMap<string, JsonTree>) {
    const field = type.byName.get(name);
    if (field === undefined) throw new MalformedError("a member of the JSON is unknown: it cannot have been signed");
    if (seen.has(field)) throw new MalformedError(`${name} is there by two names`);
    seen.add(field);
    if (type.isChoice && !(value === null && typeof field.type === "string")) {
      if (hasMember) throw new MalformedError("a value has a second member");
      hasMember = true;
    }
    if (value === null) continue;
    if (!field.isList) message.set(field.name, readField(field, value, depth));
    else if (!Array.isArray(value)) throw wrong(field, "a list");
    else
      message.set(
        field.name,
        (value as readonly JsonTree[]).map((item) => readField(field, item, depth)),
      );
  }
  return message;
}

function readField(field: Field, value: JsonTree, depth: number): Value {
  const { type } = field;
  if (typeof type !== "function") return readScalar(field, type, value);
  const inner = type();
  const message = readJson(inner, value, depth + 1);
  return inner.isApart ? () => message : message;
}

function readScalar(field: Field, type: Scalar, value: JsonTree): Value {
  switch (type) {
    case "text":
      if (typeof value !== "string" || !value.isWellFormed()) throw wrong(field, "text");
      return value;
    case "bytes":
      return (typeof value === "string" ? base64Bytes(value) : undefined) ?? refuse(field, "base64");
    case "traceId":
      return idBytes(value, 16) ?? refuse(field, "16 bytes, in hex or base64");
    case "spanId":
      return idBytes(value, 8) ?? refuse(field, "8 bytes, in hex or base64");
    case "bool":
      if (typeof value !== "boolean") throw wrong(field, "true or false");
      return value;
    case "double":
      return doubleOf(value) ?? refuse(field, "a number");
    case "int64":
      return integerOf(value, -(2n ** 63n), 2n ** 63n) ?? refuse(field, "a whole number of 64 bits");
    case "fixed64":
      return integerOf(value, 0n, 2n ** 64n) ?? refuse(field, "a whole number of 64 bits, not below 0");
    case "uint32":
    case "fixed32":
      return integerOf(value, 0n, 2n ** 32n) ?? refuse(field, "a whole number of 32 bits, not below 0");
    default: {
      const number = typeof value === "string" ? type.indexOf(value) : undefined;
      if (number !== undefined) return number < 0 ? refuse(field, "a name of the enum's") : BigInt(number);
      return integerOf(value, -(2n ** 31n), 2n ** 31n) ?? refuse(field, "a number or a name of the enum's");
    }
  }
}

function idBytes(value: JsonTree, length: number): Uint8Array | undefined {
  if (typeof value !== "string") return undefined;
  if (value.length === 2 * length) return /^[0-9a-f]*$/i.test(value) ? hexBytes(value) : undefined;
  const bytes = base64Bytes(value);
  return bytes?.length === length || bytes?.length === 0 ? bytes : undefined;
}

/** How a number is written, in a string or not. */
function spellingOf(value: JsonTree): string | undefined {
  if (value instanceof JsonNumber) return value.spelling;
  return typeof value === "string" && numberForm.test(value) ? value : undefined;
}

/** The nearest double, ties to even. Undefined for what rounds to infinity. */
function doubleOf(value: JsonTree): number | undefined {
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  const number = Number(spellingOf(value) ?? Number.NaN);
  return Number.isFinite(number) ? number : undefined;
}

/** More than any integer of 64 bits has. */
const maxDigits = 20;

/** Reads an integer from `first` to below `end`. Undefined for what is not whole, which the digits decide: no double holds every integer. */
function integerOf(value: JsonTree, first: bigint, end: bigint): bigint | undefined {
  const [, sign, whole = "", fraction = "", exponent = "0"] = numberForm.exec(spellingOf(value) ?? "") ?? [];
  if (sign === undefined) return undefined;
  const digits = (whole + fraction).replace(/^0+/, "");
  let length = digits.length;
  while (digits[length - 1] === "0") length -= 1;
  const zeros = Number(exponent) - fraction.length + digits.length - length;
  if (length > 0 && !(zeros >= 0 && length + zeros <= maxDigits)) return undefined;
  const number = length === 0 ? 0n : BigInt(sign + digits.slice(0, length) + "0".repeat(zeros));
  return number >= first && number < end ? number : undefined;
}

function refuse(field: Field, form: string): never {
  throw wrong(field, form);
}

function wrong({ name }: Field, form: string): MalformedError {
  return new MalformedError(`${name} must be ${form}`);
}
