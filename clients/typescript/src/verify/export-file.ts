/** The ResourceSpans of an OTLP trace export. An export is protobuf (field 1 repeated), JSON, or JSON lines. */
import { utf8Text } from "./bytes.ts";
import { type JsonTree, parseJson } from "./json-tree.ts";
import { MalformedError, tried } from "./malformed.ts";
import { type Message, resourceSpans, tracesData } from "./otlp.ts";
import { readJson } from "./otlp-json.ts";
import { readWire } from "./otlp-wire.ts";

/** Field 1, length-delimited. */
const resourceSpansTag = 10;
const lineFeed = 0x0a;
const listNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/** Bytes, or text of JSON, that are no OTLP trace export. */
export class UnreadableExportError extends Error {
  override readonly name = "UnreadableExportError";
}

/** What stands for itself in an export, an export itself: a line of JSON, or all of it. */
export interface ExportPart {
  /** Offsets of its bytes. */
  start: number;
  end: number;
  /** Each ResourceSpans in order. Reading one that is none throws MalformedError. */
  messages: readonly (() => Message)[];
}

/**
 * Reads each part when it is asked for: the trees of a whole file of JSON lines are several times as large as the file. Throws
 * UnreadableExportError for what is no export.
 */
export function* exportParts(bytes: Uint8Array): Generator<ExportPart, void, undefined> {
  const whole = readProtobuf(bytes) ?? readWholeJson(bytes);
  if (whole !== undefined) yield { start: 0, end: bytes.length, messages: whole };
  else yield* jsonLines(bytes);
}

/** Undefined for what is no protobuf. In JSON the first byte of a protobuf export is a line feed: only what is protobuf to its end counts. */
function readProtobuf(bytes: Uint8Array): ExportPart["messages"] | undefined {
  if (bytes.length > 0 && bytes[0] !== resourceSpansTag) return undefined;
  const read = tried(() => readWire(tracesData, bytes));
  if (read instanceof MalformedError) return undefined;
  return (read.get("resourceSpans") ?? []) as readonly (() => Message)[];
}

/** Undefined for what can only be JSON lines: where one line of several is JSON, all of them together are not. */
function readWholeJson(bytes: Uint8Array): ExportPart["messages"] | undefined {
  const [first, second] = linesOf(bytes);
  if (first !== undefined && second !== undefined && parse(first.text) !== undefined) return undefined;
  const whole = parse(decoded(bytes, true));
  return whole === undefined ? undefined : messagesOf(whole);
}

function* jsonLines(bytes: Uint8Array): Generator<ExportPart, void, undefined> {
  for (const { text, number, start, end } of linesOf(bytes)) {
    const document = parse(text);
    if (document === undefined) throw new UnreadableExportError(`the spans are not JSON in line ${number}`);
    yield { start, end, messages: messagesOf(document) };
  }
}

/** Those that are not blank, with their numbers from 1. */
function* linesOf(bytes: Uint8Array): Generator<{ text: string; number: number; start: number; end: number }> {
  for (let [start, number] = [0, 1]; start < bytes.length; number += 1) {
    const feed = bytes.indexOf(lineFeed, start);
    const end = feed < 0 ? bytes.length : feed + 1;
    const text = decoded(bytes.subarray(start, end), start === 0);
    if (!/^[ \t\r\n]*$/.test(text)) yield { text, number, start, end };
    start = end;
  }
}

/** One byte order mark is passed over at the start of a file. */
function decoded(bytes: Uint8Array, isStart: boolean): string {
  const hasMark = isStart && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = utf8Text(hasMark ? bytes.subarray(3) : bytes);
  if (text === undefined)
    throw new UnreadableExportError("the spans are neither an OTLP trace export in protobuf nor JSON in UTF-8");
  return text;
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

function messagesOf(document: JsonTree | MalformedError): ExportPart["messages"] {
  if (document instanceof MalformedError)
    return [
      () => {
        throw document;
      },
    ];
  const [[name, list] = []] = document instanceof Map && document.size === 1 ? [...document] : [];
  if (!listNames.includes(name) || !Array.isArray(list))
    throw new UnreadableExportError('an OTLP trace export is an object with a list "resourceSpans" and nothing else');
  return (list as readonly JsonTree[]).map((each) => () => readJson(resourceSpans, each, 2));
}
