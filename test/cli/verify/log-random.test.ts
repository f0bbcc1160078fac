/** Random logs, from a fixed seed: of random groups with rotations between, each attacked at a random span, which is found and no other. */
import { beforeAll, describe, expect, it } from "vitest";
import { type Bytes, len } from "../../support/otlp-wire.ts";
import { generator } from "../../support/random-span.ts";
import { testLog } from "../../support/test-log.ts";
import { keysFile } from "../../support/keys-file.ts";
import { audit, nameOf, pay, withEvidenceOf } from "../../support/log-auditor.ts";

/** Spans in each group, or a rotation. */
type Plan = (number | "rotation")[];

interface Signed {
  spans: Bytes[];
  /** Of each span. */
  indices: number[];
  keys: ReturnType<typeof keysFile>;
  /** The checkpoint after each group, by the log's size then. */
  kept: Record<string, string>;
}

async function sign(plan: Plan, amountOf: (n: number) => number = (n) => n): Promise<Signed> {
  const log = testLog();
  const signed: Omit<Signed, "keys"> = { spans: [], indices: [], kept: {} };
  for (const step of plan) {
    if (step === "rotation") {
      await log.rotate();
      continue;
    }
    const first = signed.spans.length;
    const numbers = Array.from({ length: step }, (_, i) => first + i);
    signed.indices.push(...numbers.map((_, i) => log.entries.length + i));
    signed.spans.push(...(await log.sign(...numbers.map((n) => pay(n, amountOf(n))))));
    signed.kept[log.entries.length] = log.checkpoint();
  }
  return { ...signed, keys: keysFile([log]) };
}

const r = generator(6962);

function randomPlan(): Plan {
  const groups = Array.from({ length: 2 + r.below(5) }, () => 1 + r.below(12));
  return groups.flatMap((spans, i): Plan => (i > 0 && r.below(3) === 0 ? ["rotation", spans] : [spans]));
}

describe.each(Array.from({ length: 25 }, () => randomPlan()).map((plan) => ({ plan })))(
  "a log of $plan",
  ({ plan }) => {
    let log: Signed;
    let [n, m]: [number, number] = [0, 0];
    beforeAll(async () => {
      log = await sign(plan);
      n = r.below(log.spans.length);
      m = (n + 1 + r.below(log.spans.length - 1)) % log.spans.length;
    });

    it("verifies", () => {
      expect(audit(log.spans, log)).toEqual([]);
      expect(audit(log.spans, { keys: log.keys })).toEqual([]);
    });

    it("shows a span removed", () => {
      expect(audit(log.spans.toSpliced(n, 1), { ...log, from: 0 })).toMatchObject([
        { what: "missing", leaf_index: log.indices[n], count: 1 },
      ]);
    });

    it("shows two swapped", () => {
      const swapped = log.spans.with(n, log.spans[m]!).with(m, log.spans[n]!);
      expect(audit(swapped, log)).toMatchObject([{ what: "reordered", span: nameOf(Math.max(n, m)) }]);
    });

    it("shows one changed", () => {
      const changed = log.spans.with(n, withEvidenceOf(log.spans[n]!, pay(n), pay(n, 1_000_000)));
      expect(audit(changed, log)).toMatchObject([{ what: "changed", leaf_index: log.indices[n], span: nameOf(n) }]);
    });

    it("shows its tail cut off", () => {
      const cut = Math.max(n, 1);
      const [first] = audit(log.spans.slice(0, cut), log);
      expect(first).toMatchObject({ what: "missing" });
      expect(log.indices.slice(cut - 1, cut + 1)).toSatisfy(
        ([last, next]: number[]) => last! < first!.leaf_index! && first!.leaf_index! <= next!,
      );
    });

    it("shows history rewritten, between the checkpoints that were kept before and after", async () => {
      const rewritten = await sign(plan, (each) => (each === n ? 1_000_000 : each));
      expect(audit(rewritten.spans, rewritten)).toEqual([]);
      const sizes = Object.keys(log.kept).map(Number);
      const after = sizes.find((size) => size > log.indices[n]!)!;
      const before = sizes.findLast((size) => size <= log.indices[n]!) ?? 0;
      const found = audit(rewritten.spans, { keys: rewritten.keys, kept: log.kept });
      expect(found).toMatchObject([{ what: "rewritten", leaf_index: before, count: after - before }]);
      // The old evidence of the others tells the very span, unless it was alone in the last group.
      const mixed = audit(log.spans.with(n, rewritten.spans[n]!), { keys: log.keys });
      const isAlone = n === log.spans.length - 1 && plan.at(-1) === 1;
      expect(mixed).toMatchObject(
        isAlone ? [] : [{ what: "rewritten", leaf_index: log.indices[n], count: 1, span: nameOf(n) }],
      );
    });

    it("shows a span with a field that was not signed", () => {
      const [first] = audit(log.spans.with(n, Buffer.concat([log.spans[n]!, len(99, "")])), log);
      expect(["unreadable", "missing"]).toContain(first!.what);
    });
  },
);
