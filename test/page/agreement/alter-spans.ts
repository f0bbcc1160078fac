/** What may have become of spans and their evidence since they were signed. */
import {
  changedAttributes,
  changedParts,
  equalAttributes,
  equalParts,
} from "../../../clients/conformance/judge/alter.ts";
import { attributesOf, readParts } from "../../../clients/conformance/judge/evidence.ts";
import { randomFrom, type Random } from "../../crash/random.ts";
import type { Draft, Piece } from "./draft.ts";
import { pieceOf } from "./draft.ts";

type Alteration = (draft: Draft, r: Random) => void;

/** Some of the spans, at least one where there is one. */
function someOf(spans: readonly Piece[], r: Random): Piece[] {
  const most = r.chance(0.6) ? 1 : 1 + r.below(4);
  return Array.from({ length: Math.min(most, spans.length) }, () => r.pick(spans)!);
}

function place(spans: readonly Piece[], r: Random): number {
  return r.below(spans.length + 1);
}

/** Means nothing to a verifier. */
export const equalSpans: Readonly<Record<string, Alteration>> = {
  "evidence spelled otherwise"({ spans }, r) {
    for (const each of someOf(spans, r)) each.attributes = r.pick(equalAttributes)!(each.attributes, r);
  },
  "parts that are not covered"({ spans }, r) {
    for (const each of someOf(spans, r)) each.parts = r.pick(equalParts)!(each.parts, r);
  },
};

export const alteredSpans: Readonly<Record<string, Alteration>> = {
  "spans removed"(draft, r) {
    for (const each of someOf(draft.spans, r)) draft.spans.splice(draft.spans.indexOf(each), 1);
  },
  "a run removed"({ spans }, r) {
    spans.splice(place(spans, r), 1 + r.below(5));
  },
  "the end cut off"({ spans }, r) {
    spans.splice(place(spans, r));
  },
  "the beginning cut off"({ spans }, r) {
    spans.splice(0, place(spans, r));
  },
  "two swapped"({ spans }, r) {
    if (spans.length === 0) return;
    const [a, b] = [r.below(spans.length), r.below(spans.length)];
    [spans[a], spans[b]] = [spans[b]!, spans[a]!];
  },
  "one moved"({ spans }, r) {
    spans.splice(place(spans, r), 0, ...spans.splice(place(spans, r), 1));
  },
  shuffled(draft, r) {
    const keyed = draft.spans.map((each) => ({ each, at: r.next() }));
    draft.spans = keyed.sort((a, b) => a.at - b.at).map(({ each }) => each);
  },
  "one repeated"({ spans }, r) {
    const piece = r.pick(spans);
    if (piece !== undefined) spans.splice(place(spans, r), 0, { ...piece });
  },
  "all repeated"(draft) {
    draft.spans = [...draft.spans, ...draft.spans.map((each) => ({ ...each }))];
  },
  "a forged one"({ spans, world }, r) {
    spans.splice(place(spans, r), r.below(2), pieceOf(r.pick(world.forged)!));
  },
  "evidence of another key"({ spans, world }, r) {
    const forged = r.pick(world.forged)!;
    for (const each of someOf(spans, r)) each.attributes = attributesOf(forged);
  },
  "evidence of another span"({ spans }, r) {
    for (const each of someOf(spans, r)) each.attributes = r.pick(spans)!.attributes;
  },
  "some of another history"(draft, r) {
    const { logged, rewritten } = draft.world;
    if (rewritten.length === 0) return;
    draft.spans = draft.spans.map((each) => {
      const twin = rewritten[logged.indexOf(each.signed)];
      return twin !== undefined && r.chance(0.5) ? pieceOf(twin) : each;
    });
  },
  "all of another history"(draft) {
    const { rewritten } = draft.world;
    if (rewritten.length > 0) draft.spans = rewritten.map(pieceOf);
  },
  "evidence changed"({ spans }, r) {
    for (const each of someOf(spans, r)) each.attributes = r.pick(changedAttributes)!(each.attributes, r);
  },
  "attributes misspelt"({ spans }, r) {
    for (const each of someOf(spans, r))
      each.attributes = each.attributes.map(([key, value]) => [r.chance(0.3) ? `${key}s` : key, value]);
  },
  unsigned({ spans }, r) {
    for (const each of someOf(spans, r)) each.attributes = [];
  },
  "content changed"({ spans }, r) {
    for (const each of someOf(spans, r)) each.parts = r.pick(changedParts)!(each.parts, r);
  },
  "a fault of the wire bytes"({ spans }, r) {
    for (const each of someOf(spans, r)) each.fault = randomFrom(r.below(2 ** 31));
  },
  "a byte of a span"({ spans }, r) {
    for (const each of someOf(spans, r)) {
      const span = Uint8Array.from(each.parts.span);
      span[r.below(span.length)]! ^= 1 << r.below(8);
      each.parts = { ...each.parts, span };
    }
  },
  "an id"({ spans }, r) {
    for (const each of someOf(spans, r)) {
      const { traceId, spanId } = readParts(each.signed);
      const [id, other] = [Buffer.from(r.chance(0.5) ? traceId : spanId, "hex"), r.pick(spans)!.signed];
      const anothers = Buffer.from(id.length === 8 ? readParts(other).spanId : readParts(other).traceId, "hex");
      const span = Buffer.from(each.parts.span);
      const at = span.indexOf(id);
      if (at >= 0) (r.chance(0.5) ? anothers : Buffer.from(r.bytes(id.length))).copy(span, at);
      each.parts = { ...each.parts, span: new Uint8Array(span) };
    }
  },
};
