/**
 * The ResourceSpans of an OTLP trace export, each as protobuf bytes. The file is protobuf (field 1 repeated), or OTLP JSON, one document
 * or one a line. A protobuf file begins with 0x0a, which in JSON is a line feed: only what parses to its end as protobuf counts as such.
 */
import { KmsError } from "../../errors.ts";
import { JsonError, readJson } from "../../encoding/json.ts";
import { spelledNumber } from "../../encoding/json-number.ts";
import { cursor, readBytes, readTag } from "../../encoding/wire-reader.ts";
import { Failure } from "../command.ts";
import { wrongJson } from "../files.ts";
import { resourceSpansBytes } from "./otlp-json.ts";

const resourceSpansTag = 10;

export type SpanFile =
  | { form: "protobuf"; messages: Uint8Array[] }
  /** Holds one document, or one a line. */
  | { form: "JSON" | "JSON lines"; documents: JsonDocument[] };

export interface JsonDocument {
  text: string;
  messages: (Uint8Array | KmsError)[];
}

/** In order; an error in the place of one that cannot be read. Throws a Failure for a file that is neither. */
export function splitSpanFile(bytes: Uint8Array): (Uint8Array | KmsError)[] {
  const file = readSpanFile(bytes);
  return file.form === "protobuf" ? file.messages : file.documents.flatMap(({ messages }) => messages);
}

/** The file in its form. Throws a Failure for a file that is neither. */
export function readSpanFile(bytes: Uint8Array): SpanFile {
  const messages = bytes[0] === resourceSpansTag || bytes.length === 0 ? splitProtobuf(bytes) : undefined;
  return messages === undefined ? readDocuments(bytes) : { form: "protobuf", messages };
}

function splitProtobuf(bytes: Uint8Array): Uint8Array[] | undefined {
  const messages: Uint8Array[] = [];
  const c = cursor(bytes);
  try {
    while (c.at < bytes.length) {
      if (readTag(c, bytes.length) !== resourceSpansTag) return undefined;
      messages.push(readBytes(c, bytes.length));
    }
    return messages;
  } catch (error) {
    if (error instanceof KmsError) return undefined;
    throw error;
  }
}

function readDocuments(bytes: Uint8Array): SpanFile {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Failure("the spans file is neither an OTLP trace export in protobuf nor JSON in UTF-8");
  }
  const whole = readDocument(text);
  if (whole !== undefined) return { form: "JSON", documents: [whole] };
  const lines = text.split("\n").map((line, i) => ({ line, number: i + 1 }));
  const documents = lines
    .filter(({ line }) => !/^[ \t\r]*$/.test(line))
    .map(({ line, number }) => {
      const document = readDocument(line);
      if (document === undefined)
        throw new Failure(`the spans file is not JSON in line ${number}; it must be an OTLP trace export`);
      return document;
    });
  return { form: "JSON lines", documents };
}

/**
 * Undefined for a text that is no JSON. A member that is there twice makes the whole document one that cannot be read. Throws a Failure for one
 * that is nested too deeply, whatever follows.
 */
function readDocument(text: string): JsonDocument | undefined {
  let document: unknown;
  try {
    document = readJson(text, spelledNumber);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    if (error.reason === "syntax") return undefined;
    if (error.reason === "depth") throw new Failure("the spans file has JSON that is nested too deeply");
    return { text, messages: [new KmsError("INVALID_ARGUMENT", wrongJson(error))] };
  }
  return { text, messages: resourceSpansBytes(document) };
}
