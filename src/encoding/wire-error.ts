/**
 * How the reader refuses. The place that finds a fault says what is wrong; each message around it, on the way out, says in which field:
 * so a path like `span.attributes[3].value.string_value` costs nothing while all is well.
 */
import { invalidField, KmsError } from "../errors.ts";

/** A message's proto field names, by field number. */
export type FieldNames = readonly (string | undefined)[];

/** A fault at the place where the reader stands; `inField` adds the path. */
export function refused(text: string): KmsError {
  return invalidField("", text);
}

/** A fault in a named field below the place where the reader stands. */
export function refusedAt(field: string, text: string): KmsError {
  return invalidField(field, text);
}

/** Puts the field that `tag` names, and its index where it is repeated, in front of the error's path. */
export function inField(error: unknown, fields: FieldNames, tag: number, index?: number): unknown {
  const name = fields[tag >>> 3];
  if (name === undefined) return error;
  return within(error, index === undefined ? name : `${name}[${index}]`);
}

/** Gives a fault of the outermost message itself, which has no path, the name of that message. */
export function inMessage(error: unknown, message: string): unknown {
  return error instanceof KmsError && error.violations[0]?.field === "" ? within(error, message) : error;
}

function within(error: unknown, segment: string): unknown {
  const violation = error instanceof KmsError ? error.violations[0] : undefined;
  if (violation === undefined) return error;
  return invalidField(violation.field === "" ? segment : `${segment}.${violation.field}`, violation.description);
}

/** Why a message cannot take this tag: the field is unknown, or of another wire type. */
export function unexpectedTag(tag: number, fields: FieldNames): KmsError {
  const number = tag >>> 3;
  const wireType = tag & 7;
  if (wireType === 3 || wireType === 4) return refused("groups are not part of OTLP; leave them out");
  if (fields[number] !== undefined)
    return refused(`wire type ${wireType} is not the field's own; encode it as the proto says`);
  return refused(`field number ${number} is unknown and could not be signed; leave it out`);
}

/** Notes that a singular field was seen. The fields of one message that need this have numbers below 31. */
export function once(seen: number, number: number): number {
  const bit = 1 << number;
  if ((seen & bit) !== 0) throw refused("is there twice, and parsers differ on which counts; send it once");
  return seen | bit;
}
