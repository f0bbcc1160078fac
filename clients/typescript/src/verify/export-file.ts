/** The ResourceSpans of an OTLP trace export, each as wire bytes. An export is protobuf (field 1 repeated), JSON, or JSON lines. */
import { AmbiguousJsonError, type JsonTree, parseJson } from "./json-tree.ts";
import { resourceSpansBytes } from "./otlp-json.ts";
import { TextDecoder } from "./platform.ts";
import { tried } from "./resource-spans.ts";
import { MalformedError, wireReader } from "./wire-reader.ts";

const resourceSpansTag = 10;
const listNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/** Bytes, or text of JSON, that are no OTLP trace export. */
export class UnreadableExportError extends Error {
  override readonly name = "UnreadableExportError";
}

/** In order; an error in the place of one that cannot be read. Throws UnreadableExportError for what is no export. */
export function splitExport(bytes: Uint8Array): (Uint8Array | MalformedError)[] {
  // In JSON the first byte of a protobuf export is a line feed: only what is protobuf to its end counts as such.
  const isBinary = bytes.length === 0 || bytes[0] === resourceSpansTag;
  return (isBinary ? splitBinary(bytes) : undefined) ?? splitJson(bytes);
}

function splitBinary(bytes: Uint8Array): Uint8Array[] | undefined {
  const messages = tried(() => {
    const reader = wireReader(bytes);
    const found: Uint8Array[] = [];
    for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
      if (tag !== resourceSpansTag) throw new MalformedError("not an export");
      found.push(reader.bytes());
    }
    return found;
  });
  return messages instanceof MalformedError ? undefined : messages;
}

function splitJson(bytes: Uint8Array): (Uint8Array | MalformedError)[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new UnreadableExportError("the spans are neither an OTLP trace export in protobuf nor JSON in UTF-8");
  }
  const whole = parse(text);
  if (whole !== undefined) return messagesOf(whole);
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const document = parse(line);
    if (document === undefined) throw new UnreadableExportError(`the spans are not JSON in line ${i + 1}`);
    return messagesOf(document);
  });
}

function parse(text: string): JsonTree | MalformedError | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    if (error instanceof AmbiguousJsonError) return new MalformedError(error.message);
    throw error;
  }
}

function messagesOf(document: JsonTree | MalformedError): (Uint8Array | MalformedError)[] {
  if (document instanceof MalformedError) return [document];
  const [[name, list] = []] = document instanceof Map && document.size === 1 ? [...document] : [];
  if (!listNames.includes(name) || !Array.isArray(list))
    throw new UnreadableExportError('an OTLP trace export is an object with a list "resourceSpans" and nothing else');
  return (list as readonly JsonTree[]).map((each) => tried(() => resourceSpansBytes(each)));
}
