/** What somebody hands over for a verification, before it becomes files: rightly put together, to be altered afterwards. */
import {
  type Attributes,
  attributeFields,
  attributesOf,
  base64,
  resourceSpansOf,
  type SignedParts,
} from "../../../clients/conformance/judge/evidence.ts";
import { faultySpan } from "../../../clients/conformance/judge/alter.ts";
import type { SpanParts } from "../../../clients/conformance/judge/random-spans.ts";
import { parseCheckpoint } from "../../../src/tlog/checkpoint.ts";
import type { Asked } from "../../../src/verification-report/facts.ts";
import type { Random } from "../../crash/random.ts";
import { type Bytes, message } from "../../support/otlp-wire.ts";
import type { Json, KeySetJson, World } from "./worlds.ts";

/** A span, and the evidence that goes with it. */
export interface Piece {
  signed: SignedParts;
  parts: SpanParts;
  attributes: Attributes;
  /** Seed of a fault of its wire bytes. */
  fault?: Random;
}

export interface Draft {
  world: World;
  spans: Piece[];
  keys: KeySetJson;
  /** Signed notes by file. */
  checkpoints: string[][];
  asked: { -readonly [Name in keyof Asked]: Asked[Name] };
}

export function pieceOf(signed: SignedParts): Piece {
  return { signed, parts: signed, attributes: attributesOf(signed) };
}

/** A ResourceSpans with one span. */
export function wireOf({ parts, attributes, fault }: Piece): Bytes {
  const span = message(parts.span, ...attributeFields(attributes));
  return resourceSpansOf({ ...parts, span: fault === undefined ? span : faultySpan(span, fault) });
}

/** Mostly of a kind that verifies if nothing is altered. */
export function goodDraft(world: World, r: Random): Draft {
  const kind = r.weighted({ log: 50, each: 35, mixed: 15 });
  const asked: Draft["asked"] = {
    log: kind !== "each",
    tenant: r.chance(0.4) ? world.tenant : undefined,
    vkeys: vkeysOf(world, kind === "log" ? { none: 3, first: 6, all: 1 } : { none: 5, first: 1, all: 4 }, r),
    from: undefined,
    to: undefined,
    anyOrder: kind !== "each" && r.chance(0.15),
    keptBy: r.chance(0.2) ? "the auditor" : undefined,
  };
  const keys = structuredClone(world.keys);
  // What it signed before verifies by the checkpoints of the keys that followed it.
  if (kind === "log" && r.chance(0.1)) Object.assign(r.pick(keys.keys)!, compromised(world, r));
  return {
    world,
    spans: goodSpans(world, kind, r).map(pieceOf),
    keys,
    checkpoints: kind !== "each" && r.chance(0.75) ? keptCheckpoints(world, r).map((note) => [note]) : [],
    asked,
  };
}

/** Members of a key that was marked as compromised when its log was as one of the checkpoints has it. */
export function compromised(world: World, r: Random): Json {
  return { state: "COMPROMISED", compromised_at: "2026-05-01T00:00:00.000Z", compromised_log: headOf(world, r) };
}

/** The head of a log as a checkpoint has it; now and then that of another log, or another history's. */
export function headOf({ checkpoints, otherCheckpoints }: World, r: Random): Json {
  const note = r.pick(r.chance(0.8) ? checkpoints : otherCheckpoints) ?? r.pick(otherCheckpoints)!;
  const { origin, size, root } = parseCheckpoint(`${note.split("\n\n")[0]}\n`)!;
  return { log: 1, origin, size, root: base64(root) };
}

function goodSpans({ logged, alone }: World, kind: "log" | "each" | "mixed", r: Random): SignedParts[] {
  if (kind === "log") return [...logged];
  if (kind === "each") {
    const some = [...alone, ...logged].filter(() => r.chance(0.4));
    return some.length > 0 ? some : [...alone];
  }
  return logged.flatMap((span) => (r.chance(0.3) ? [r.pick(alone)!, span] : [span]));
}

function keptCheckpoints({ checkpoints }: World, r: Random): string[] {
  const some = checkpoints.filter((_, i) => r.chance(i === checkpoints.length - 1 ? 0.9 : 0.3));
  return r.chance(0.8) ? some : some.toReversed();
}

export function vkeysOf({ keys }: World, weights: Record<"none" | "first" | "all", number>, r: Random): string[] {
  const [first, ...rest] = keys.keys.map(({ vkeys }) => (vkeys as string[])[0]!) as [string, ...string[]];
  return { none: [], first: [first], all: [first, ...rest] }[r.weighted(weights)];
}
