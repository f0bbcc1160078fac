/**
 * JSON requests, read before connect-node reads them: its errors quote the value that is wrong, or the text around it, and ours
 * name the field alone. The text is parsed twice for that; who counts microseconds sends binary.
 */
import { type DescMessage, fromJsonString } from "@bufbuild/protobuf";
import { type FieldViolation, invalidField, KmsError } from "../errors.ts";

/** A misspelt field must not be taken for one that was left out. */
export const strictJson = { ignoreUnknownFields: false };

const maxNameLength = 64;

/** The text, known to be this message. Throws INVALID_ARGUMENT. */
export function checkedJson(desc: DescMessage, bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    fromJsonString(desc, text, strictJson);
    refuseRounded(text);
    return text;
  } catch (cause) {
    throw cause instanceof KmsError ? cause : refusal(desc, cause);
  }
}

/** Digits and a sign of the longest integer that a double holds exactly. */
const maxExactLength = 17;

/**
 * JSON.parse rounds an integer that no double holds, such as a time in nanoseconds: a span would be signed, or called verified, with
 * another number than the one that was sent.
 */
function refuseRounded(text: string): void {
  JSON.parse(text, ((key: string, value: unknown, { source = "" }: { source?: string }) => {
    const isDouble = key === "doubleValue" || key === "double_value";
    if (typeof value !== "number" || isDouble) return value;
    if (Number.isSafeInteger(value) && source.length <= maxExactLength) return value;
    throw invalidField(shortName(key), "is an integer that JSON numbers cannot hold exactly: send it as a string");
  }) as (key: string, value: unknown) => unknown);
}

/** protobuf-es names the field in its message only, as in `cannot decode field fluo.kms.v1.PlainField.value from JSON: …`. */
function refusal(desc: DescMessage, cause: unknown): KmsError {
  const text = cause instanceof Error ? cause.message : "";
  const unknown = /^cannot decode message \S+ from JSON: key "(.*)" is unknown$/s.exec(text)?.[1];
  const known = /^cannot decode (?:field|oneof) (?:\w+\.)+(\w+) from JSON/.exec(text)?.[1];
  const violations: FieldViolation[] = [];
  if (unknown !== undefined) violations.push({ field: shortName(unknown), description: "is unknown" });
  if (known !== undefined) {
    violations.push({
      field: known,
      description: "is not what protobuf's JSON has there: check type, range, base64 and UTF-8",
    });
  }
  const [first] = violations;
  const message = first
    ? `${first.field}: ${first.description}`
    : `the body is not a ${desc.typeName} in JSON: check its syntax, its enums and that it is UTF-8`;
  return new KmsError("INVALID_ARGUMENT", message, { violations, cause });
}

/** A member's name as a caller made it up, short enough and well-formed for an error and a log line. */
export function shortName(name: string): string {
  return (name.length > maxNameLength ? `${name.slice(0, maxNameLength)}…` : name).toWellFormed();
}
