/** The ResourceSpans of an OTLP trace export. An export is protobuf (field 1 repeated), JSON, or JSON lines. */
import { type JsonTree, parseJson } from "./json-tree.ts";
import { MalformedError, tried } from "./malformed.ts";
import { type Message, resourceSpans, tracesData } from "./otlp.ts";
import { readJson } from "./otlp-json.ts";
import { readWire } from "./otlp-wire.ts";
import { TextDecoder } from "./platform.ts";

/** Field 1, length-delimited. */
const resourceSpansTag = 10;
const listNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/** Bytes, or text of JSON, that are no OTLP trace export. */
export class UnreadableExportError extends Error {
  override readonly name = "UnreadableExportError";
}

/** In order; an error in the place of one that cannot be read. Throws UnreadableExportError for what is no export. */
export function splitExport(bytes: Uint8Array): (Message | MalformedError)[] {
  // In JSON the first byte of a protobuf export is a line feed: only what is protobuf to its end counts as such.
  if (bytes.length > 0 && bytes[0] !== resourceSpansTag) return splitJson(bytes);
  const read = tried(() => readWire(tracesData, bytes));
  if (read instanceof MalformedError) return splitJson(bytes);
  return ((read.get("resourceSpans") ?? []) as readonly (() => Message)[]).map(tried);
}

function splitJson(bytes: Uint8Array): (Message | MalformedError)[] {
  let text: string;
  try {
    // One byte order mark at the start is passed over, as ignoreBOM is not set.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new UnreadableExportError("the spans are neither an OTLP trace export in protobuf nor JSON in UTF-8");
  }
  const whole = parse(text);
  if (whole !== undefined) return messagesOf(whole);
  return text.split("\n").flatMap((line, i) => {
    if (/^[ \t\r]*$/.test(line)) return [];
    const document = parse(line);
    if (document === undefined) throw new UnreadableExportError(`the spans are not JSON in line ${i + 1}`);
    return messagesOf(document);
  });
}

/** Undefined for a text that is no JSON. */
function parse(text: string): JsonTree | MalformedError | undefined {
  try {
    return tried(() => parseJson(text));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function messagesOf(document: JsonTree | MalformedError): (Message | MalformedError)[] {
  if (document instanceof MalformedError) return [document];
  const [[name, list] = []] = document instanceof Map && document.size === 1 ? [...document] : [];
  if (!listNames.includes(name) || !Array.isArray(list))
    throw new UnreadableExportError('an OTLP trace export is an object with a list "resourceSpans" and nothing else');
  return (list as readonly JsonTree[]).map((each) => tried(() => readJson(resourceSpans, each, 2)));
}
