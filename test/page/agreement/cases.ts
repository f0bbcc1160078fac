/** Cases from a seed: the files and the question of a verification, each by its number. */
import { exportOf } from "../../../clients/conformance/judge/evidence.ts";
import { jsonOf, spelled, written, wrong } from "../../../clients/conformance/judge/json-form.ts";
import type { Asked } from "../../../src/verification-report/facts.ts";
import { type Random, randomFrom } from "../../crash/random.ts";
import { mutatedBytes } from "../../fuzz/mutate-bytes.ts";
import { mutatedJson } from "../../fuzz/mutate-json.ts";
import { alteredCheckpoints, alteredQuestion, equalCheckpoints } from "./alter-checkpoints.ts";
import { alteredKeys, equalKeys } from "./alter-keys.ts";
import { alteredSpans, equalSpans } from "./alter-spans.ts";
import { type Draft, goodDraft, wireOf } from "./draft.ts";
import type { World } from "./worlds.ts";

export interface CaseFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Case {
  name: string;
  /** The alterations, in their order. */
  what: readonly string[];
  spans: CaseFile;
  keys: CaseFile;
  checkpoints: readonly CaseFile[];
  asked: Asked;
}

const equal = Object.entries({ ...equalSpans, ...equalKeys, ...equalCheckpoints });
const altered = {
  spans: Object.entries(alteredSpans),
  keys: Object.entries(alteredKeys),
  checkpoints: Object.entries(alteredCheckpoints),
  question: Object.entries(alteredQuestion),
};

const ofLogs = { spans: 45, keys: 28, checkpoints: 14, question: 13 };
const ofSpans = { ...ofLogs, checkpoints: 0 };

/** The same case of the same worlds, whatever other cases are asked for. */
export function caseOf(seed: number, number: number, worlds: readonly World[]): Case {
  const r = randomFrom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const draft = goodDraft(r.pick(worlds)!, r);
  const what: string[] = [];
  const apply = ([name, alter]: (typeof equal)[number]) => {
    what.push(name);
    alter(draft, r);
  };
  const alterations = r.weighted({ none: 36, one: 32, two: 18, several: 14 });
  for (let count = r.below(3); count > 0; count -= 1) apply(r.pick(equal)!);
  for (let count = { none: 0, one: 1, two: 2, several: 3 + r.below(4) }[alterations]; count > 0; count -= 1)
    apply(r.pick(altered[r.weighted(draft.asked.log ? ofLogs : ofSpans)])!);
  const { asked } = draft;
  if (!asked.log || draft.checkpoints.length === 0) asked.keptBy = undefined;
  const isMarred = alterations !== "none" && r.chance(0.25);
  return { name: `case ${number}`, what, ...files(draft, r, what, isMarred), asked };
}

function files(
  draft: Draft,
  r: Random,
  what: string[],
  isMarred: boolean,
): Pick<Case, "spans" | "keys" | "checkpoints"> {
  const marred = isMarred ? r.weighted({ spans: 6, keys: 3, checkpoints: 1 }) : undefined;
  if (marred !== undefined) what.push(`marred ${marred}`);
  const spans = spansFile(draft, r, marred === "spans");
  return {
    spans: { name: spans.name, bytes: own(spans.bytes) },
    keys: { name: "keys.json", bytes: own(keysFile(draft, r, marred === "keys")) },
    checkpoints: draft.checkpoints.map((notes, i) => {
      const bytes = Buffer.from(notes.join(""));
      return {
        name: `checkpoint-${i + 1}`,
        bytes: own(marred === "checkpoints" && i === 0 ? mutatedBytes(bytes, r) : bytes),
      };
    }),
  };
}

/** One of its own, in no pool of Node's. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes);
}

function spansFile({ spans }: Draft, r: Random, isMarred: boolean): { name: string; bytes: Uint8Array } {
  const whole = exportOf(...spans.map(wireOf));
  const form = r.weighted({ protobuf: 50, json: 25, lines: 25 });
  const documents =
    form === "protobuf" ? [] : form === "json" ? [jsonOf(whole)] : spans.map((each) => jsonOf(exportOf(wireOf(each))));
  const readable = documents.filter((each) => each !== undefined);
  if (readable.length === 0 || readable.length < documents.length)
    return { name: "spans.bin", bytes: isMarred ? marredBytes(whole, r) : whole };
  if (isMarred && r.chance(0.4)) return { name: "spans.json", bytes: mutatedJson(r.pick(readable)!, r) };
  if (isMarred && r.chance(0.7)) return { name: "spans.json", bytes: Buffer.from(wrong(r.pick(readable)!, r)) };
  const indent = form === "json" && r.chance(0.3) ? "  " : "";
  const texts = readable.map((document) => written(r.chance(0.7) ? spelled(document, r) : document, indent));
  const text = texts.join(r.chance(0.8) ? "\n" : "\r\n") + r.pick(["", "\n"])!;
  const bytes = Buffer.from(text);
  return { name: form === "json" ? "spans.json" : "spans.jsonl", bytes: isMarred ? marredBytes(bytes, r) : bytes };
}

function marredBytes(bytes: Uint8Array, r: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  return r.pick<() => Uint8Array>([
    () => mutatedBytes(bytes, r),
    () => bytes.subarray(0, r.below(bytes.length + 1)),
    () => Buffer.concat([bytes, bytes]),
    function flipped() {
      if (copy.length > 0) copy[r.below(copy.length)]! ^= 1 << r.below(8);
      return copy;
    },
    () => new Uint8Array(),
    () => Buffer.concat([Buffer.from("efbbbf", "hex"), bytes]),
  ])!();
}

function keysFile({ keys }: Draft, r: Random, isMarred: boolean): Uint8Array {
  if (isMarred && r.chance(0.7)) return mutatedJson(keys, r);
  const text = Buffer.from(`${r.chance(0.1) ? "\ufeff" : ""}${JSON.stringify(keys, null, r.below(3))}`);
  if (!isMarred) return text;
  return mutatedBytes(text, r);
}
