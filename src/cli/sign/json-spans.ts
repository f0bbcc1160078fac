/** Attributes put on the spans of an OTLP export in JSON by inserting them into its text: whatever else it says stays as it was written. */
import { type JsonNode, locate } from "./json-text.ts";

/** A key and its text. */
export type Attribute = readonly [key: string, value: string];

/** Levels from the document down to an attribute of a span. */
const keptLevels = 8;

/** `attributes` has an entry for each span of the text, in order; a span without any stays as it is. */
export function withAttributes(text: string, attributes: readonly (readonly Attribute[] | undefined)[]): string {
  const spans = spansIn(text);
  if (spans.length !== attributes.length)
    throw new Error(`${attributes.length} spans were read where there are ${spans.length}`);
  const pieces: string[] = [];
  let at = 0;
  for (const [i, span] of spans.entries()) {
    const given = attributes[i];
    if (given === undefined || given.length === 0) continue;
    const { start, end, added } = insertion(text, span, given);
    pieces.push(text.slice(at, start), added);
    at = end;
  }
  return [...pieces, text.slice(at)].join("");
}

function spansIn(text: string): JsonNode[] {
  const within = (node: JsonNode, ...names: string[]) => names.flatMap((name) => node.members?.get(name)?.items ?? []);
  return within(locate(text, keptLevels), "resourceSpans", "resource_spans")
    .flatMap((resourceSpans) => within(resourceSpans, "scopeSpans", "scope_spans"))
    .flatMap((scopeSpans) => within(scopeSpans, "spans"));
}

interface Insertion {
  /** What it replaces, which is nothing unless the list of attributes is null. */
  start: number;
  end: number;
  added: string;
}

/** Follows the last attribute, with the white space that the first one has before it. */
function insertion(text: string, span: JsonNode, given: readonly Attribute[]): Insertion {
  const list = span.members?.get("attributes");
  const entries = given.map(([key, value]) => JSON.stringify({ key, value: { stringValue: value } }));
  const last = list?.items?.at(-1);
  if (list !== undefined && last !== undefined) {
    const gap = text.slice(list.start + 1, list.items![0]!.start);
    return { start: last.end, end: last.end, added: entries.map((entry) => `,${gap}${entry}`).join("") };
  }
  if (list !== undefined) return { start: list.start, end: list.end, added: `[${entries.join(",")}]` };
  const gap = /\s*/y.exec(text.slice(span.start + 1))![0];
  const behind = [...(span.members?.values() ?? [])].at(-1)!.end;
  return { start: behind, end: behind, added: `,${gap}"attributes":${gap === "" ? "" : " "}[${entries.join(",")}]` };
}
