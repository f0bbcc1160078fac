/**
 * OTLP JSON to protobuf bytes. It is protobuf's JSON except for trace and span ids: OTLP writes them in hex, protobuf's own printers in base64.
 * The two have different lengths, so both are read, also in one file. Base64 is of either alphabet, padded or not.
 */
import { type DescField, fromJson, type JsonValue, ScalarType, toBinary } from "@bufbuild/protobuf";
import { SignSpansRequestSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { invalidField, KmsError } from "../../errors.ts";
import { eitherBase64 } from "../../encoding/base64.ts";
import { readExactly, readScalars } from "../../encoding/protobuf-json.ts";
import { cursor, readBytes, readTag } from "../../encoding/wire-reader.ts";
import { Failure } from "../command.ts";

const idBytes: ReadonlyMap<string, number> = new Map([
  ["trace_id", 16],
  ["span_id", 8],
  ["parent_span_id", 8],
]);

const listNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/** Each ResourceSpans of one export, or why it cannot be read. Unknown members are refused: what is not signed must not look signed. */
export function resourceSpansBytes(document: unknown): (Uint8Array | KmsError)[] {
  const members = typeof document === "object" && !Array.isArray(document) ? Object.entries(document ?? {}) : [];
  const [name, list] = members[0] ?? [];
  if (members.length !== 1 || !listNames.includes(name) || !Array.isArray(list)) {
    throw new Failure(
      'the spans file must hold OTLP trace exports: objects with a list "resourceSpans" and nothing else',
    );
  }
  return list.map(encode);
}

function encode(resourceSpans: unknown): Uint8Array | KmsError {
  try {
    const json = readScalars(SignSpansRequestSchema, { resourceSpans: [resourceSpans] }, readScalar);
    const request = fromJson(SignSpansRequestSchema, json as JsonValue, { ignoreUnknownFields: false });
    const bytes = toBinary(SignSpansRequestSchema, request);
    const c = cursor(bytes);
    readTag(c, bytes.length);
    return readBytes(c, bytes.length);
  } catch (error) {
    if (error instanceof KmsError) return error;
    return new KmsError("INVALID_ARGUMENT", faultOf((error as Error).message), { cause: error });
  }
}

/** Reads a scalar: ids in hex or base64, all else as in calls. */
function readScalar(field: DescField, value: unknown): unknown {
  const length = idBytes.get(field.name);
  if (length === undefined || field.scalar !== ScalarType.BYTES || typeof value !== "string")
    return readExactly(field, value);
  const id = readId(value, length);
  if (id === undefined) throw invalidField(field.name, `must be ${length} bytes, in hex or base64`);
  return Buffer.from(id).toString("base64");
}

function readId(text: string, length: number): Uint8Array | undefined {
  const bytes = text.length === 2 * length ? hexBytes(text) : eitherBase64(text);
  return text === "" || bytes?.length === length ? bytes : undefined;
}

function hexBytes(id: string): Uint8Array | undefined {
  return /^[0-9a-f]*$/i.test(id) ? Buffer.from(id, "hex") : undefined;
}

/** What protobuf-es says, by OTLP's names and without the value that it quotes: a span's content is not for messages. */
function faultOf(message: string): string {
  const [, name, rest] =
    /^cannot decode \w+ (?:\w+\.)*?(\w+(?:\.[a-z]\w*)?) from JSON(?:: ([\s\S]*))?$/.exec(message) ?? [];
  if (name === undefined) return "is not OTLP in JSON";
  if (/^key "[\s\S]*" is unknown$/.test(rest ?? ""))
    return `${name}: has a member that OTLP does not have; leave it out`;
  return `${name}: is not what OTLP has there; check its type and range`;
}
