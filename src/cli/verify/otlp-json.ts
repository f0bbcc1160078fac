/**
 * OTLP JSON to protobuf bytes. It is protobuf's JSON except for trace and span ids: OTLP writes them in hex, protobuf's own printers in base64.
 * The two have different lengths, so both are read, also in one file. As protobuf's parsers do, it takes either alphabet, padded or not.
 */
import { fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { SignSpansRequestSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { KmsError } from "../../errors.ts";
import { canonicalBase64 } from "../../encoding/base64.ts";
import { cursor, readBytes, readTag } from "../../encoding/wire-reader.ts";
import { Failure } from "../command.ts";

type Members = Record<string, unknown>;

const idBytes: ReadonlyMap<string, number> = new Map([
  ["traceId", 16],
  ["trace_id", 16],
  ["spanId", 8],
  ["span_id", 8],
  ["parentSpanId", 8],
  ["parent_span_id", 8],
]);

const listNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/** Each ResourceSpans of one export, or why it cannot be read. Unknown members are refused: what is not signed must not look signed. */
export function resourceSpansBytes(document: unknown): (Uint8Array | KmsError)[] {
  const members = isMembers(document) ? Object.entries(document) : [];
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
    const json = { resourceSpans: [withBase64Ids(resourceSpans)] } as JsonValue;
    const request = fromJson(SignSpansRequestSchema, json, { ignoreUnknownFields: false });
    const bytes = toBinary(SignSpansRequestSchema, request);
    const c = cursor(bytes);
    readTag(c, bytes.length);
    return readBytes(c, bytes.length);
  } catch (error) {
    if (error instanceof KmsError) return error;
    return new KmsError("INVALID_ARGUMENT", withoutValue((error as Error).message), { cause: error });
  }
}

/** Ids occur on spans and on their links; attributes are left alone. */
function withBase64Ids(resourceSpans: unknown): unknown {
  return mapList(resourceSpans, ["scopeSpans", "scope_spans"], (scopeSpans) =>
    mapList(scopeSpans, ["spans"], (span) => mapList(ids(span), ["links"], ids)),
  );
}

function mapList(message: unknown, names: readonly string[], map: (item: unknown) => unknown): unknown {
  if (!isMembers(message)) return message;
  const mapped = { ...message };
  for (const name of names) if (Array.isArray(mapped[name])) mapped[name] = mapped[name].map(map);
  return mapped;
}

function ids(message: unknown): unknown {
  if (!isMembers(message)) return message;
  const mapped = { ...message };
  for (const [name, bytes] of idBytes)
    if (typeof mapped[name] === "string") mapped[name] = base64(mapped[name], name, bytes);
  return mapped;
}

function base64(id: string, name: string, bytes: number): string {
  if (id === "") return "";
  const decoded = id.length === 2 * bytes ? hexBytes(id) : base64Bytes(id);
  if (decoded?.length !== bytes)
    throw new KmsError("INVALID_ARGUMENT", `${name}: must be ${bytes} bytes, in hex or base64`);
  return Buffer.from(decoded).toString("base64");
}

function hexBytes(id: string): Uint8Array | undefined {
  return /^[0-9a-f]*$/i.test(id) ? Buffer.from(id, "hex") : undefined;
}

function base64Bytes(id: string): Uint8Array | undefined {
  const standard = id.replaceAll("-", "+").replaceAll("_", "/");
  return canonicalBase64(standard.endsWith("=") ? standard : standard.padEnd(Math.ceil(id.length / 4) * 4, "="));
}

/** protobuf-es quotes what it could not decode; a span's content is not for messages. */
function withoutValue(message: string): string {
  return message.replace(/ from JSON: [\s\S]*$/, " from JSON");
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
