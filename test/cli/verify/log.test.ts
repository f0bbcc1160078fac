/** What an auditor finds out, with the spans, the tenant's public keys and checkpoints of earlier, and nothing else. */
import { beforeAll, describe, expect, it } from "vitest";
import { checkpointsIn } from "../../../src/cli/files.ts";
import { directory } from "../../support/config-fixture.ts";
import { type Bytes, len, message } from "../../support/otlp-wire.ts";
import { type TestLog, testLog, withLogProof } from "../../support/test-log.ts";
import { run } from "../../support/cli-fixture.ts";
import { compromisedAt, keysFile, keysFileOfBefore } from "../../support/keys-file.ts";
import * as auditor from "../../support/log-auditor.ts";
import { audit, exported, nameOf, pay, withEvidenceOf } from "../../support/log-auditor.ts";

type Given = Partial<auditor.Given>;

const verifyLog = (spans: readonly Bytes[], given: Given = {}, ...args: string[]) =>
  auditor.verifyLog(spans, { keys: keysFile([log]), ...given }, ...args);

/** What is found, each as `what index span`, in order. */
function findings(spans: readonly Bytes[], given: Given = {}): string[] {
  return audit(spans, { keys: keysFile([log]), ...given }).map(({ what, leaf_index, span, count }) =>
    [what, leaf_index ?? "-", ...(count > 1 ? [`x${count}`] : []), ...(span === null ? [] : [span])].join(" "),
  );
}

/** Twelve spans in three groups of 5, 4 and 3, and the checkpoints after each. */
async function twelve(signing: TestLog, amountOf: (n: number) => number = (n) => n) {
  const signed: Bytes[] = [];
  const checkpoints: string[] = [];
  for (const group of [
    [0, 1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10, 11],
  ]) {
    signed.push(...(await signing.sign(...group.map((n) => pay(n, amountOf(n))))));
    checkpoints.push(signing.checkpoint());
  }
  const [five, nine, twelve] = checkpoints as [string, string, string];
  return { signed, kept: { five, nine, twelve } };
}

/** The same with the n-th paying a million: signed again, with the true key. */
async function rewrittenAt(n: number): Promise<Bytes[]> {
  return (await twelve(testLog(), (each) => (each === n ? 1_000_000 : each))).signed;
}

const ofBefore = testLog();
ofBefore.announce();
const [unusedHandover] = keysFile([ofBefore]).unused_handovers;

let log: TestLog;
let spans: Bytes[];
let kept: { five: string; nine: string; twelve: string };

beforeAll(async () => {
  log = testLog();
  ({ signed: spans, kept } = await twelve(log));
});

describe("a log that is whole", () => {
  it("verifies by the checkpoints in its spans, and by those that were kept", async () => {
    const { code, out, err } = await verifyLog(spans, { kept });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      [
        "log kms.example.com/acme, entries 0 to 11: 12 spans",
        "  checkpoint five, of 5 entries, agrees",
        "  checkpoint nine, of 9 entries, agrees",
        "  checkpoint twelve, of 12 entries, agrees",
        "  no problems",
        "The following checks were performed: each span's signature or log proof; the state of each key; that no entry is missing, repeated or rewritten; the order of the spans; the kept checkpoints.",
        "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; that a checkpoint binds a party that kept it itself; whose the keys are.",
        "",
      ].join("\n"),
    );
  });

  it("verifies by checkpoints that were kept in one file, as they came", async () => {
    const { five, nine, twelve } = kept;
    const { code, out } = await verifyLog(spans, { kept: { hourly: `${five}${nine}\n${twelve}` } });
    expect(code).toBe(0);
    for (const size of [5, 9, 12]) expect(out).toContain(`checkpoint hourly, of ${size} entries, agrees\n`);
  });

  it("verifies by checkpoints with the line ends and the byte order mark of Windows", async () => {
    const { five, nine } = kept;
    const windows = `\ufeff${five}${nine}`.replaceAll("\n", "\r\n");
    const { code, out } = await verifyLog(spans, { kept: { windows } });
    expect(code).toBe(0);
    for (const size of [5, 9]) expect(out).toContain(`checkpoint windows, of ${size} entries, agrees\n`);
    const strange = { windows: windows.replace("acme", "acme\r") };
    expect(() => findings(spans, { kept: strange })).toThrow("windows holds no checkpoint");
  });

  it("verifies from a checkpoint on, to another", async () => {
    const { five, nine } = kept;
    expect(findings(spans.slice(5, 9), { kept: { five, nine } })).toEqual([]);
    expect(findings(spans.slice(2, 7), { from: 2, to: 7 })).toEqual([]);
  });

  it("verifies across a handover, which fills its place", async () => {
    const rotated = testLog({ like: log });
    await rotated.rotate();
    const more = await rotated.sign(pay(13), pay(14));
    const keys = keysFile([rotated]);
    const { code, out } = await verifyLog([...spans, ...more], { keys, kept });
    expect(code).toBe(0);
    expect(out).toContain("entries 0 to 14: 14 spans, 1 handover\n");
    expect(findings([...spans, ...more], { keys: { ...keys, handovers: [] } })).toEqual(["missing 12"]);
  });

  it.each([
    ["by themselves", keysFile],
    ["among the others", keysFileOfBefore],
  ])("verifies across handovers that were not used, which fill their places, listed %s", async (_where, fileOf) => {
    const retried = testLog({ like: log });
    retried.announce();
    retried.announce();
    await retried.rotate();
    const more = await retried.sign(pay(15), pay(16));
    retried.announce();
    const keys = fileOf([retried]);
    const end = retried.checkpoint();
    const { code, out } = await verifyLog([...spans, ...more], { keys, kept: { ...kept, end } });
    expect(code).toBe(0);
    const counts = "14 spans, 1 handover, 3 handovers that were not used";
    expect(out).toContain(`entries 0 to 17: ${counts}\n`);
    const without = JSON.parse(JSON.stringify(keys), (_key, value: unknown) =>
      Array.isArray(value) ? value.filter((each) => each.leaf_index !== 13) : value,
    );
    expect(findings([...spans, ...more], { keys: without })).toEqual(["missing 13"]);
  });

  it("is told as JSON where asked", async () => {
    const { code, out } = await verifyLog(spans, { kept }, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      ok: true,
      logs: [
        {
          origin: log.origin,
          from: 0,
          to: 12,
          spans: 12,
          handovers: 0,
          announced: 0,
          checkpoints: [
            { file: "five", size: 5, agrees: true },
            { file: "nine", size: 9, agrees: true },
            { file: "twelve", size: 12, agrees: true },
          ],
          findings: [],
        },
      ],
      signed_apart: 0,
    });
  });

  it("may be in no order where the store keeps none, and only there", async () => {
    expect(findings(spans.toReversed(), { anyOrder: true })).toEqual([]);
    expect(findings(spans.toReversed())).toEqual([`reordered 0 ${nameOf(11)}`]);
  });

  it("verifies for each of a tenant's logs", async () => {
    const second = testLog({ origin: `${log.origin}/2` });
    const more = await second.sign(pay(20), pay(21));
    const keys = keysFile([log, second]);
    expect(findings([...spans, ...more], { keys })).toEqual([]);
    expect(findings([...spans, ...more.slice(0, 1)], { keys })).toEqual(["missing 1"]);
    expect((await verifyLog([...spans, ...more], { keys, from: 0 })).err).toContain("--from and --to are for one");
  });
});

describe("an attack is found, and the span is named:", () => {
  it("a span removed", async () => {
    for (const n of [1, 4, 5, 8, 10]) expect(findings(spans.toSpliced(n, 1), { kept })).toEqual([`missing ${n}`]);
    const { out } = await verifyLog(spans.toSpliced(6, 2));
    expect(out).toContain(`  missing  entry 6  -  2 entries, after ${nameOf(5)}, before ${nameOf(8)}\n`);
    expect(out).toContain("  1 problem, the first at entry 6\n");
  });

  it("two swapped", async () => {
    const swapped = spans.with(3, spans[7]!).with(7, spans[3]!);
    expect(findings(swapped)).toEqual([`reordered 3 ${nameOf(7)}`]);
    expect(findings(spans.with(0, spans[1]!).with(1, spans[0]!))).toEqual([`reordered 0 ${nameOf(1)}`]);
  });

  it("two swapped with their evidence left where it was", async () => {
    const exchanged = (n: number, other: number) => withEvidenceOf(spans[n]!, pay(n), pay(other));
    const swapped = spans.with(3, exchanged(3, 7)).with(7, exchanged(7, 3));
    expect(findings(swapped)).toEqual([`changed 3 ${nameOf(7)}`, `changed 7 ${nameOf(3)}`]);
  });

  it("one changed", async () => {
    const changed = spans.with(6, withEvidenceOf(spans[6]!, pay(6), pay(6, 1_000_000)));
    expect(findings(changed, { kept })).toEqual([`changed 6 ${nameOf(6)}`]);
    const { out } = await verifyLog(changed);
    expect(out).toContain("1 problem, the first at 5b8e");
  });

  it("one there twice", async () => {
    expect(findings(spans.toSpliced(6, 0, spans[2]!))).toEqual([`repeated 2 ${nameOf(2)}`]);
  });

  it("one there twice, with its time spelled in two ways", async () => {
    const [proof] = await log.proofs(2, 1);
    const respelled = withLogProof(pay(2), { proof: proof!, tenant: "acme", signedAt: "2026-03-01T12:00:00Z" });
    expect(findings(spans.with(2, respelled))).toEqual([]);
    expect(findings(spans.toSpliced(6, 0, respelled))).toEqual([`repeated 2 ${nameOf(2)}`]);
  });

  it("the tail cut off, within a group and between groups", async () => {
    expect(findings(spans.slice(0, 11))).toEqual(["missing 11"]);
    expect(findings(spans.slice(0, 9))).toEqual([]);
    expect(findings(spans.slice(0, 9), { kept })).toEqual(["missing 9 x3"]);
    expect(findings(spans.slice(0, 9), { to: 12 })).toEqual(["missing 9 x3"]);
  });

  it("the head cut off", async () => {
    expect(findings(spans.slice(3), { from: 0 })).toEqual(["missing 0 x3"]);
    expect(findings(spans.slice(7), { kept })).toEqual(["missing 5 x2"]);
  });

  it("is not looked for before the first span, unless it is asked for, which is said", async () => {
    const kept = { twelve: log.checkpoint() };
    const { code, out } = await verifyLog(spans.slice(3), { kept });
    expect(code).toBe(0);
    expect(out).toMatch(
      /agrees\n {2}not checked, before entry 3: whether any is missing\n {2}no problems\nThe following/,
    );
    expect((await verifyLog(spans.slice(3), { kept, from: 0 })).out).not.toContain("not checked");
    expect((await verifyLog(spans, { kept })).out).not.toContain("not checked");
  });

  it("entries written anew before a gap, as far as proofs after it tell", async () => {
    const others = await rewrittenAt(1);
    const found = (next: number) => findings([...others.slice(0, 4), ...spans.slice(next)], { kept });
    expect(found(5)).toEqual([`rewritten 0 x4 ${nameOf(0)}`, "missing 4"]);
    expect(found(7)).toEqual([`rewritten 0 x4 ${nameOf(0)}`, "missing 4 x3"]);
    // The tree of 8 has no subtree of 4: nothing shows of what was before.
    expect(found(8)).toEqual(["missing 4 x4"]);
  });

  it("a span removed, and its place said to be a handover's that was not used", async () => {
    const other = testLog({ like: log });
    other.announce();
    const keys = keysFile([log]);
    const claimed = (index: number) => {
      const handover = { ...keysFile([other]).unused_handovers[0]!, leaf_index: index };
      return { keys: { ...keys, unused_handovers: [handover] } };
    };
    for (const removed of [1, 4, 5, 8, 10, 11]) {
      expect(findings(spans.toSpliced(removed, 1), claimed(removed))).not.toEqual([]);
      expect(findings(spans.toSpliced(removed, 1), { ...claimed(removed), kept })).not.toEqual([]);
    }
    // Nothing comes out behind it, or nothing leads there: then it fills no gap.
    expect(findings(spans.slice(0, 11), { ...claimed(11), to: 12 })).not.toEqual([]);
    expect(findings(spans.slice(0, 12), { ...claimed(12), to: 13 })).toEqual(["missing 12"]);
    expect(findings(spans.slice(1), { ...claimed(0), kept, from: 0 })).toEqual(["missing 0"]);
  });

  it("another tenant's spliced in, in a span's place or between", async () => {
    const globex = testLog({ tenant: "globex" });
    const foreign = await globex.sign(...Array.from({ length: 12 }, (_, n) => pay(100 + n)));
    expect(findings(spans.with(6, foreign[6]!))).toEqual([`foreign - ${nameOf(106)}`, "missing 6"]);
    expect(findings(spans.toSpliced(6, 0, foreign[0]!))).toEqual([`foreign - ${nameOf(100)}`]);
    expect(findings(spans.with(6, foreign[6]!), { tenant: "acme" })).toContain(`foreign - ${nameOf(106)}`);
  });

  it("history rewritten with the true key, against what the auditor kept", async () => {
    const rewritten = await rewrittenAt(7);
    expect(findings(rewritten)).toEqual([]);
    expect(findings(rewritten, { kept })).toEqual([`rewritten 5 x4 ${nameOf(5)}`]);
    const { out } = await verifyLog(rewritten, { kept });
    expect(out).toContain("  checkpoint five, of 5 entries, agrees\n");
    expect(out).toContain("  checkpoint nine, of 9 entries, does not agree\n");
    expect(findings(rewritten, { kept: { twelve: kept.twelve } })).toEqual([`rewritten 0 x12 ${nameOf(0)}`]);
    expect(findings(rewritten, { kept: { five: kept.five } })).toEqual([]);
  });

  it("history rewritten before the first span that is given", async () => {
    const rewritten = await rewrittenAt(2);
    expect(findings(rewritten.slice(5), { kept: { five: kept.five } })).toEqual(["rewritten 0 x5"]);
  });

  it("a span rewritten with the true key among the others' old evidence", async () => {
    for (const n of [0, 3, 7, 9, 11]) {
      const rewritten = await rewrittenAt(n);
      expect(findings(spans.with(n, rewritten[n]!))).toEqual([`rewritten ${n} ${nameOf(n)}`]);
    }
    const rewritten = await rewrittenAt(6);
    expect(findings([...spans.slice(0, 6), ...rewritten.slice(6)])).toEqual([`rewritten 6 x3 ${nameOf(6)}`]);
    expect(findings([...spans.slice(0, 5), ...rewritten.slice(5)])).toEqual([]);
  });

  it("a log begun anew under the same name", async () => {
    const again = testLog();
    const anew = await again.sign(pay(30), pay(31));
    expect(findings(anew, { kept: { five: kept.five } })).toEqual(["missing 2 x3"]);
    const mixed = findings([...spans.slice(0, 5), ...anew]);
    expect(mixed).toContain(`repeated 0 ${nameOf(30)}`);
  });

  it("a span without its evidence, or in no known form", async () => {
    expect(findings(spans.with(6, pay(6)))).toEqual([`unreadable - ${nameOf(6)}`, "missing 6"]);
    expect(findings(spans.with(6, message(spans[6]!, len(99, ""))))).toEqual(["unreadable - -/-", "missing 6"]);
  });
});

describe("a compromised key", () => {
  let compromised: TestLog;
  beforeAll(async () => {
    compromised = testLog({ like: log });
    compromised.replaceKey();
  });

  it("still proves what it signed before, by the head that was recorded or by another key's checkpoint", async () => {
    expect(findings(spans, { keys: keysFile([compromised], { 1: compromisedAt(log, 12) }) })).toEqual([]);
    const more = await testLog({ like: compromised }).sign(pay(12));
    const unrecorded = { ...compromisedAt(log, 12) };
    const root = {
      ...(unrecorded.compromised_log as object),
      size: 9,
      root: Buffer.from(log.head(9).root).toString("base64"),
    };
    expect(
      findings([...spans, ...more], {
        keys: keysFile([compromised], { 1: { ...unrecorded, compromised_log: root } }),
      }),
    ).toEqual([`compromised 9 ${nameOf(9)}`, `compromised 10 ${nameOf(10)}`, `compromised 11 ${nameOf(11)}`]);
  });

  it("proves nothing where no head was recorded", async () => {
    const keys = keysFile([compromised], { 1: { state: "COMPROMISED" } });
    expect(findings(spans, { keys })[0]).toBe(`compromised 0 ${nameOf(0)}`);
  });

  it("signs nothing past the recorded size that counts", async () => {
    const forging = testLog({ like: log });
    const forged = await forging.sign(pay(12), pay(13));
    const keys = keysFile([compromised], { 1: compromisedAt(log, 12) });
    expect(findings([...spans, ...forged], { keys })).toEqual([
      `compromised 12 ${nameOf(12)}`,
      `compromised 13 ${nameOf(13)}`,
    ]);
  });

  it("rewrites nothing before it", async () => {
    const forged = await rewrittenAt(7);
    const keys = keysFile([compromised], { 1: compromisedAt(log, 12) });
    const found = findings(forged, { keys });
    expect(found).toContain(`rewritten 0 x12 ${nameOf(0)}`);
    expect(found).toContain(`compromised 7 ${nameOf(7)}`);
  });
});

describe("twenty rotations", () => {
  let rotated: TestLog;
  let chain: Bytes[];
  let first: string;
  beforeAll(async () => {
    rotated = testLog();
    first = rotated.vkey();
    chain = await rotated.sign(pay(0));
    for (let n = 1; n <= 20; n += 1) {
      await rotated.rotate();
      chain.push(...(await rotated.sign(pay(n))));
    }
  });

  it("are followed from the first public key alone", async () => {
    const keys = keysFile([rotated]);
    const { code, out } = await verifyLog(chain, { keys, vkeys: [first] });
    expect(code).toBe(0);
    expect(out).toContain(
      "entries 0 to 40: 21 spans, 20 handovers\n" +
        "  not checked, without a --checkpoint: whether the log was cut off behind entry 40, or written anew\n  no problems\n",
    );
  });

  it("are not followed past a handover that is missing, or is not signed by both keys", async () => {
    const keys = keysFile([rotated]);
    const without = keys.handovers.toSpliced(9, 1);
    const [found] = findings(chain, { keys: { ...keys, handovers: without }, vkeys: [first] });
    expect(found).toBe(`foreign 20 ${nameOf(10)}`);
    const lines = keys.handovers[9]!.proof.trimEnd().split("\n");
    const byOne = (line: number) => ({ ...keys.handovers[9]!, proof: `${lines.toSpliced(line, 1).join("\n")}\n` });
    for (const line of [-1, -2]) {
      const handovers = keys.handovers.with(9, byOne(line));
      const unknown = findings(chain, { keys: { ...keys, handovers }, vkeys: [first] });
      expect(unknown).toContain(`foreign 20 ${nameOf(10)}`);
    }
  });

  it("are not followed from a key that was marked as compromised, which could hand over to anybody", async () => {
    const keys = keysFile([rotated], { 5: compromisedAt(rotated, 9) });
    const found = findings(chain, { keys, vkeys: [first] });
    expect(found).toContain(`foreign 10 ${nameOf(5)}`);
    const vkeys = [first, keys.keys[5]!.vkeys[0]!];
    expect(findings(chain, { keys, vkeys }).filter((each) => each.startsWith("foreign"))).toEqual([]);
  });
});

describe("what cannot be checked is refused:", () => {
  it.each([
    ["lines", "x\n".repeat(10_000_000)],
    ["signatures", `x\n\n${"— x y\n".repeat(10_000_000)}`],
    ["characters", `${"x".repeat(50_000_000)}\n`],
  ])("a checkpoint of more %s than a stack takes", (_, beginning) => {
    expect(() => checkpointsIn(`${beginning}\n— x y\n`, "note")).toThrow("note holds no checkpoint");
  });

  it.each<[string, Given, string]>([
    ["a checkpoint that is none", { kept: { note: "hello\n" } }, "note holds no checkpoint"],
    ["a vkey that is none", { vkeys: ["acme"] }, "--vkey is NAME+ID+KEY"],
    ["a size that is none", { from: 0.7 }, "--from is a number of entries"],
    ["a range without entries", { from: 7, to: 7 }, "--from must be below --to"],
    ["keys without a log", { keys: { keys: [] } }, "the keys file names no log"],
    ["handovers that are no list", { keys: { keys: [], handovers: {} } }, "handovers must be a list"],
    [
      "a handover without its entry",
      { keys: { keys: [], handovers: [{ proof: "" }] } },
      "handovers[0].entry must be text",
    ],
    [
      "a handover in no form",
      { keys: { keys: [], handovers: [{ entry: "", proof: "" }] } },
      "handovers[0] is not a handover",
    ],
    [
      "an unused handover whose entry is none",
      { keys: { keys: [], unused_handovers: [{ ...unusedHandover, entry: "AA==" }] } },
      "unused_handovers[0] is not a handover's entry",
    ],
    [
      "an unused handover without its place",
      { keys: { keys: [], unused_handovers: [{ ...unusedHandover, leaf_index: undefined }] } },
      "unused_handovers[0].leaf_index must be a whole number",
    ],
    [
      "a log that ended with half a root",
      { keys: { keys: [], ended_logs: [{ origin: "kms.example.com/acme", size: 1, root: "AA==" }] } },
      "ended_logs[0].root must be 32 bytes",
    ],
  ])("%s", async (_, given, text) => {
    const { code, out, err } = await verifyLog(spans, given);
    expect(code).not.toBe(0);
    expect(out).toBe("");
    expect(err).toContain(text);
  });

  it("a checkpoint of another tenant", async () => {
    const globex = testLog({ tenant: "globex" });
    await globex.sign(pay(0));
    const { code, err } = await verifyLog(spans, { kept: { note: globex.checkpoint() } });
    expect(code).toBe(1);
    expect(err).toContain(
      "note: no key of the keys file signed the checkpoint of 1, which is of kms.example.com/globex",
    );
  });

  it("a vkey that is not in the keys file", async () => {
    const { code, err } = await verifyLog(spans, { vkeys: [testLog({ tenant: "globex" }).vkey()] });
    expect(code).toBe(1);
    expect(err).toContain("the keys file has no key kms.example.com/globex+");
  });

  it("a vkey of another key in the keys file, a root that is too short", async () => {
    const keys = keysFile([log]);
    const other = { ...keys.keys[0]!, vkeys: [testLog({ tenant: "globex" }).vkey()] };
    expect((await verifyLog(spans, { keys: { keys: [other] } })).err).toContain(
      "keys[0].vkeys[0] must be a verifier key",
    );
    const short = { ...keys.keys[0]!, compromised_log: { origin: "a", size: 1, root: "AAAA" } };
    expect((await verifyLog(spans, { keys: { keys: [short] } })).err).toContain(
      "keys[0].compromised_log.root must be 32",
    );
  });

  it("no spans at all", async () => {
    const { code, out } = await verifyLog([]);
    expect({ code, out }).toEqual({ code: 1, out: "there are no spans of a log in the file\n" });
    expect(findings([], { kept })).toEqual(["missing 5 x7"]);
  });

  it("options that are for --log, without it", async () => {
    const cwd = directory({ "keys.json": JSON.stringify(keysFile([log])), spans: exported(spans) });
    const { code, err } = await run(["verify", "--keys", "keys.json", "--from", "1", "spans"], { cwd });
    expect(code).toBe(2);
    expect(err).toContain("--from is for --log");
  });
});

describe("without --log", () => {
  it("each span verifies though the log has handovers that were not used", async () => {
    const retried = testLog({ like: log });
    retried.announce();
    const cwd = directory({ "keys.json": JSON.stringify(keysFile([retried])), spans: exported(spans) });
    expect(await run(["verify", "--keys", "keys.json", "spans"], { cwd })).toMatchObject({ code: 0 });
  });

  it("each span of a log verifies for itself", async () => {
    const cwd = directory({ "keys.json": JSON.stringify(keysFile([log])), spans: exported([spans[7]!, pay(3)]) });
    const { code, out } = await run(["verify", "--keys", "keys.json", "spans"], { cwd });
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`^${nameOf(7)}  OK +2026-03-01T12:00:00.005Z  0{31}1  ACTIVE  entry 7$`, "m"));
    expect(out).toMatch(/^1 of 2 verified, 1 failed$/m);
  });

  const second = testLog({ origin: "kms.example.com/acme/2" });
  const ofLog = (entries: string, name = "acme") =>
    `log kms.example.com/${name}: ${entries}; --log checks that none is missing`;

  it.each<[string, () => readonly Bytes[], string[]]>([
    ["all", () => spans, [ofLog("entries 0 to 11")]],
    ["one", () => [spans[7]!], [ofLog("entry 7")]],
    ["one twice", () => [spans[7]!, spans[7]!], [ofLog("entry 7")]],
    ["two", () => [spans[2]!, spans[0]!], [ofLog("entries 0 and 2 (1 between is not in this file)")]],
    [
      "four ranges",
      () => [0, 2, 3, 4, 7, 11].map((n) => spans[n]!),
      [ofLog("entries 0, 2 to 4, 7 and 11 (6 between are not in this file)")],
    ],
    [
      "more",
      () => [0, 2, 4, 6, 8, 9].map((n) => spans[n]!),
      [ofLog("6 of the entries 0 to 9 (4 between are not in this file)")],
    ],
    [
      "two and one that was changed",
      () => [spans[0]!, withEvidenceOf(spans[1]!, pay(1), pay(1, 5)), spans[2]!],
      [ofLog("entries 0 and 2 (1 between is not verified here)")],
    ],
    ["one that was changed", () => [withEvidenceOf(spans[1]!, pay(1), pay(1, 5))], []],
    ["none, of no log", () => [pay(1)], []],
  ])("says which entries of a log verify: %s", async (_, given, expected) => {
    const cwd = directory({ "keys.json": JSON.stringify(keysFile([log])), spans: exported(given()) });
    const { out } = await run(["verify", "--keys", "keys.json", "spans"], { cwd });
    expect(out.split("\n").filter((line) => line.startsWith("log "))).toEqual(expected);
  });

  it("says so of each log", async () => {
    const both = [...spans.slice(0, 2), ...(await second.sign(pay(20), pay(21), pay(22)))];
    const cwd = directory({ "keys.json": JSON.stringify(keysFile([log, second])), spans: exported(both) });
    const { code, out } = await run(["verify", "--keys", "keys.json", "spans"], { cwd });
    expect(code).toBe(0);
    expect(out.split("\n").slice(-6)).toEqual([
      ofLog("entries 0 to 1"),
      ofLog("entries 0 to 2", "acme/2"),
      "5 of 5 verified",
      "The following checks were performed: each span's signature or log proof; the state of each key.",
      "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; whose the keys are.",
      "",
    ]);
  });
});
