/** Conclusions that a report draws from facts, and its HTML. */
import { describe, expect, it } from "vitest";
import { closingLines } from "../../src/verification-report/closing-lines.ts";
import {
  checksOf,
  conclusionOf,
  conclusionText,
  nextSteps,
  notShown,
  ofCompromisedKeys,
} from "../../src/verification-report/conclusion.ts";
import type {
  Asked,
  CheckpointFacts,
  Facts,
  FindingFacts,
  LogFacts,
  SpanFailure,
} from "../../src/verification-report/facts.ts";
import { reportHtml } from "../../src/verification-report/html.ts";
import { completenessText, eventTexts, findingText } from "../../src/verification-report/wording.ts";

const origin = "kms.example.com/acme";
const asked: Asked = {
  log: true,
  tenant: undefined,
  vkeys: ["kms.example.com/acme+a112ff2a+AZ3T"],
  from: undefined,
  to: undefined,
  anyOrder: false,
  keptBy: "Ann Auditor",
};
const period = { first: "2026-10-01T00:00:00.000Z", last: "2026-12-31T00:00:00.000Z" };
/** A checkpoint that agrees. */
function keptAt(size: number): CheckpointFacts {
  return { name: "kept", size, agrees: true, covered: [{ from: 0, to: size }], covers: period.last };
}
const log: LogFacts = {
  origin,
  from: 0,
  to: 1000,
  spans: 999,
  handovers: 1,
  announced: 0,
  endedAt: undefined,
  follows: undefined,
  period,
  checkpoints: [keptAt(1000)],
  findings: [],
};
const facts: Facts = {
  exhibits: [{ role: "spans", name: "spans.json", bytes: 1234567, sha256: "ab".repeat(32) }],
  asked,
  spans: {
    total: 999,
    verified: 999,
    signedApart: 0,
    tenants: [{ tenant: "acme", spans: 999 }],
    period,
    failures: [],
  },
  logs: [log],
  keys: [
    {
      keyId: "k1",
      fingerprint: "12".repeat(32),
      state: "ACTIVE",
      validFrom: period.first,
      validUntil: undefined,
      compromisedAt: undefined,
      spans: 999,
      vouchedBy: { by: "asker" },
    },
  ],
  keysPassedOver: 0,
  handovers: [],
};
const finding = (what: FindingFacts["what"], more: Partial<FindingFacts> = {}): FindingFacts => ({
  what,
  entry: 7,
  count: 1,
  span: undefined,
  after: undefined,
  before: undefined,
  message: "in detail",
  ...more,
});
const failure = (reason: SpanFailure["reason"], entry?: number): SpanFailure => ({
  position: 1,
  span: "t/s",
  place: entry === undefined ? undefined : { origin, entry },
  reason,
  message: "",
});
const withLog = (more: Partial<LogFacts>, other: Partial<Facts> = {}): Facts => ({
  ...facts,
  logs: [{ ...log, ...more }],
  ...other,
});
const withFailures = (failures: SpanFailure[], more: Partial<Facts> = {}): Facts => ({
  ...facts,
  spans: { ...facts.spans, failures },
  ...more,
});
const made = { madeBy: "fluo-kms 1", date: "2026-12-02", command: "fluo-kms verify" };
const each = { asked: { ...asked, log: false }, logs: [] };

describe("the conclusion", () => {
  it.each<[string, Facts, ReturnType<typeof conclusionOf>]>([
    ["of a log under a kept checkpoint, by a verifier key", facts, "VERIFIED"],
    ["of spans by a verifier key", { ...facts, ...each }, "VERIFIED"],
    ["without a verifier key", { ...facts, asked: { ...asked, vkeys: [] } }, "CONSISTENT"],
    ["without a checkpoint", withLog({ checkpoints: [] }), "CONSISTENT"],
    ["with a checkpoint of less", withLog({ checkpoints: [keptAt(999)] }), "CONSISTENT"],
    [
      "with a checkpoint that was not compared",
      withLog({ checkpoints: [{ ...keptAt(1000), agrees: undefined, covered: [] }] }),
      "CONSISTENT",
    ],
    ["with a gap", withLog({ findings: [finding("missing")] }), "VERIFIED_WITH_GAPS"],
    [
      "with a gap, without a verifier key",
      { ...withLog({ findings: [finding("missing")] }), asked: { ...asked, vkeys: [] } },
      "CONSISTENT_WITH_GAPS",
    ],
    ["with a gap and a repetition", withLog({ findings: [finding("missing"), finding("repeated")] }), "FAILED"],
    ["with a span that does not verify", withFailures([failure("UNSIGNED")], each), "FAILED"],
    ["without spans of a log", { ...facts, logs: [] }, "FAILED"],
    ["of a log without spans", withLog({ spans: 0 }), "FAILED"],
    ["without spans", withFailures([], { ...each, spans: { ...facts.spans, total: 0, verified: 0 } }), "FAILED"],
    [
      "of a compromised key's span that another checkpoint proves",
      withFailures([failure("KEY_COMPROMISED", 7)]),
      "VERIFIED",
    ],
    [
      "of one whose entry was not to be checked",
      withFailures([failure("KEY_COMPROMISED", 3)], { logs: [{ ...log, from: 4 }] }),
      "VERIFIED",
    ],
    [
      "of one that none proves",
      withFailures([failure("KEY_COMPROMISED", 7)], {
        logs: [{ ...log, findings: [finding("compromised", { span: "t/s" })] }],
      }),
      "FAILED",
    ],
  ])("%s", (_, given, wanted) => {
    expect(conclusionOf(given)).toBe(wanted);
  });

  it("says on whose word it rests", () => {
    expect(conclusionText({ ...facts, asked: { ...asked, vkeys: [] } })).toBe(
      `All 999 spans in the file verify, and none is missing from entries 0 to 999 of ${origin}. Resting on the supplier's word alone: whose the keys are.`,
    );
  });

  it("does not say that a checkpoint covers what is missing behind it", () => {
    const checkpoints = [{ ...log.checkpoints[0]!, size: 900, covered: [{ from: 0, to: 900 }] }];
    const given = withLog({ checkpoints, findings: [finding("missing", { entry: 900, count: 100 })] });
    expect(conclusionText(given)).toContain("a kept checkpoint covers every entry that is not missing.");
  });

  it("does not say of spans that they verify whose entries were not checked", () => {
    const failures = [failure("KEY_COMPROMISED", 3), failure("KEY_COMPROMISED", 9), failure("KEY_COMPROMISED", 10)];
    const given = withFailures(failures, { logs: [{ ...log, from: 4, to: 10 }] });
    expect(ofCompromisedKeys(given)).toEqual({ proven: 1, notChecked: 2 });
    expect(conclusionText(given)).toContain(
      "997 of 999 spans in the file verify (the others are of a compromised key, and not among the entries checked), and none is missing from entries 4 to 9",
    );
  });

  it("counts spans of one name by their entries", () => {
    const failures = [failure("KEY_COMPROMISED", 7), failure("KEY_COMPROMISED", 8)];
    const given = withFailures(failures, { logs: [{ ...log, findings: [finding("compromised", { span: "t/s" })] }] });
    expect(conclusionText(given)).toBe("1 of 999 spans does not verify.");
  });

  it.each([
    ["a name is long", [{ ...log, origin: "x".repeat(100_000), checkpoints: [] }]],
    [
      "there are many logs",
      Array.from({ length: 1000 }, (_, i) => ({ ...log, origin: `${i}${"x".repeat(300)}`, checkpoints: [] })),
    ],
  ])("says on whose word it rests though %s", (_, logs) => {
    const html = reportHtml({ ...facts, asked: { ...asked, vkeys: [] }, logs }, made);
    expect(/<p class="conclusion[^\n]*/.exec(html)?.[0]).toContain(
      "Resting on the supplier&#39;s word alone: whose the keys are",
    );
    expect(html).toContain("nobody signs the keys file");
    expect(html.length).toBeLessThan(100_000);
  });

  it("says what to ask for where it could be stronger", () => {
    const given = withLog({
      checkpoints: [keptAt(500)],
      findings: [finding("missing", { count: 3 })],
    });
    const weak = { ...given, asked: { ...asked, vkeys: [] } };
    expect(conclusionText(weak)).toBe(
      `All 999 spans in the file verify, but 3 entries are missing from entries 0 to 999 of ${origin}, in 1 gap. Resting on the supplier's word alone: whose the keys are; what stands in entries 500 to 999 of ${origin}.`,
    );
    expect(nextSteps(weak)).toEqual([
      `The spans of entries 7 to 9 of ${origin}.`,
      "The verifier key of k1, by another way than these files.",
      `A checkpoint of 1,000 entries or more of ${origin}, from somebody independent who has kept it.`,
    ]);
    expect(nextSteps(facts)).toEqual([]);
  });

  it("counts what is wrong", () => {
    const findings = [finding("missing", { count: 3 }), finding("missing"), finding("changed", { span: "t/s" })];
    expect(conclusionText({ ...withFailures([failure("PROOF_INVALID")]), logs: [{ ...log, findings }] })).toBe(
      "1 of 999 spans does not verify; 4 entries missing.",
    );
  });
});

describe("checks", () => {
  const results = (given: Facts) => checksOf(given).map(({ result }) => result);

  it("are all performed and passed where all was given", () => {
    expect(results(facts)).toEqual(Array(10).fill("passed"));
  });

  it("are not passed by spans that failed before them", () => {
    const failures = [failure("UNSIGNED"), failure("PROOF_INVALID", 3)];
    expect(checksOf(withFailures(failures, each)).slice(0, 4)).toMatchObject([
      { result: "failed", detail: "1 of 999 spans" },
      { result: "failed", detail: "1 of 998 spans" },
      { result: "not performed", detail: "998 of 999 spans, not on the others" },
      { result: "not performed", detail: "997 of 999 spans, not on the others" },
    ]);
  });

  it("fail by a handover that only compromised keys signed", () => {
    const given = withLog({ findings: [finding("compromised")] });
    expect(conclusionText(given)).toBe("1 entry compromised.");
    expect(checksOf(given)[3]).toMatchObject({ result: "failed", detail: "1 handover by compromised keys alone" });
  });

  it("of the log are not performed where completeness was not asked", () => {
    expect(results({ ...facts, ...each }).slice(4, 9)).toEqual(Array(5).fill("not performed"));
  });

  it("fail by what was found", () => {
    const findings = (["missing", "repeated", "reordered", "rewritten"] as const).map((what) => finding(what));
    const differs = { ...log.checkpoints[0]!, agrees: false };
    const failures = (["MALFORMED", "PROOF_INVALID", "UNKNOWN_KEY", "KEY_STATE"] as const).map((each) => failure(each));
    const given = withFailures(failures, { logs: [{ ...log, findings, checkpoints: [differs] }] });
    const failed = (count: number) => Array(count).fill("failed");
    expect(results(given)).toEqual([...failed(4), "gaps", ...failed(4), "passed"]);
  });

  it("do not show what is beside spans with a signature of their own, nor logs without a checkpoint", () => {
    const given = withLog({}, { spans: { ...facts.spans, signedApart: 3 } });
    const said = notShown({ ...given, logs: [log, { ...log, origin: "kms/other", checkpoints: [] }] }).join("\n");
    expect(said).toContain("beside the 3 with a signature of their own");
    expect(said).toContain("Whether kms/other was cut off");
    expect(said).not.toContain(`Whether ${origin} was cut off`);
  });

  it("say what they do not show", () => {
    const said = notShown({ ...withLog({ from: 10, checkpoints: [] }), asked: { ...asked, vkeys: [] } }).join("\n");
    for (const words of ["is true", "sampled away", "after entry 999", "before 10", "cut off", "Whose the keys are"])
      expect(said).toContain(words);
  });
});

describe("the closing lines of a terminal", () => {
  it("name the checks performed, and what does not show", () => {
    expect(closingLines({ log: true, ordered: true, kept: true, pinned: true })).toEqual([
      "The following checks were performed: each span's signature or log proof; the state of each key; that no entry is missing, repeated or rewritten; the order of the spans; the kept checkpoints; that the keys follow from a --vkey.",
      "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; that a checkpoint binds a party that kept it itself.",
    ]);
    expect(closingLines({ log: false, ordered: true, kept: false, pinned: false })).toEqual([
      "The following checks were performed: each span's signature or log proof; the state of each key.",
      "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; whose the keys are.",
    ]);
  });
});

describe("sentences", () => {
  it("name the spans on both sides of a gap", () => {
    const [after, before] = [
      { span: "a/1", signedAt: "2026-10-02T08:00:00.000Z" },
      { span: "b/2", signedAt: undefined },
    ];
    expect(findingText(finding("missing", { count: 3, after, before }))).toBe(
      "3 entries missing, after a/1 (signed 2026-10-02 08:00:00.000 UTC), before b/2",
    );
  });

  it("say up to when a log is complete, by which checkpoint, and who kept it", () => {
    expect(completenessText(log, asked)).toBe(
      "Checked: entries 0 to 999; none is missing. The checkpoint in kept covers entries 0 to 999. The latest span among these was signed at 2026-12-31 00:00:00.000 UTC. Whoever asked says, and nothing checks, that it was kept by: Ann Auditor.",
    );
    expect(completenessText({ ...log, to: 1001 }, { ...asked, keptBy: undefined })).toContain(
      "Who kept it was not said. No kept checkpoint covers entry 1000.",
    );
    expect(completenessText({ ...log, checkpoints: [] }, asked)).toContain("No kept checkpoint covers them");
  });

  it("say of the keys that are trusted, not of the keys file, that none is marked", () => {
    expect(eventTexts(facts)[0]).toBe(
      "None of these keys is marked as compromised or disabled in the keys file, which nobody signs.",
    );
  });

  it("say of which entries beside a gap a checkpoint is, and of which it is not shown to be", () => {
    const covered = [
      { from: 0, to: 4 },
      { from: 7, to: 10 },
    ];
    const given = { ...log, to: 12, findings: [finding("missing", { entry: 6 })] };
    const said = completenessText({ ...given, checkpoints: [{ ...keptAt(10), covered }] }, asked);
    expect(said).toContain("Checked: entries 0 to 11; 1 missing, as listed below.");
    expect(said).toContain("The checkpoint in kept covers entries 0 to 3 and 7 to 9.");
    expect(said).toContain("What is missing before entry 10 was in the log when it was made.");
    expect(said).toContain("No kept checkpoint covers entries 4 to 5 and 10 to 11.");
  });

  it("keep names apart from their own words", () => {
    const keyId = "was confirmed by “Ann”. Key k2";
    const keys = [{ ...facts.keys[0]!, keyId, state: "DISABLED" as const }];
    expect(eventTexts({ ...facts, keys })[0]).toContain("Key “was confirmed by 'Ann'. Key k2” is disabled.");
    const blank = "kms/acme.\u2800A\u2800kept\u2800checkpoint\u2800covers\u2800every\u2800entry.";
    expect(conclusionText(withLog({ origin: blank }))).toContain(`of “${blank}”.`);
  });

  it("say what became of keys and logs", () => {
    const [key] = facts.keys;
    const given = {
      ...withLog({ endedAt: 1000, follows: { origin: "before", endedAt: 2 } }),
      keys: [
        { ...key!, keyId: "k1", state: "DISABLED" as const },
        { ...key!, keyId: "k2", state: "DESTROYED" as const, compromisedAt: period.last },
      ],
      handovers: [{ origin, entry: 5, fromKeyId: "k1", toKeyId: "k2" }],
    };
    expect(eventTexts(given)).toEqual([
      "Key k2 was marked as compromised at 2026-12-31 00:00:00.000 UTC. What it alone signed proves nothing.",
      "Key k1 is disabled. What it signed before stands; it can hand over to no other key.",
      "Key k2 was destroyed. What it signed stands.",
      `Key k1 handed over to key k2 in entry 5 of ${origin}.`,
      `Log ${origin} follows before, which ended at 2 entries.`,
      `Log ${origin} ended at 1,000 entries, when a backup was restored or a loss was accepted.`,
    ]);
  });
});

describe("the HTML", () => {
  it("is the same for the same facts", () => {
    expect(reportHtml(structuredClone(facts), made)).toBe(reportHtml(facts, made));
  });

  it("shows hostile text as text, cut where it is long", () => {
    const name = `<script>alert(1)</script>"'&\u202egnp.\u0000`;
    const hostile = {
      ...facts,
      exhibits: [{ ...facts.exhibits[0]!, name }],
      asked: { ...asked, tenant: "__proto__", keptBy: "x".repeat(4_000_000) },
    };
    const html = reportHtml(hostile, { ...made, command: name });
    for (const character of ["<script", "\u202e", "\u0000"]) expect(html).not.toContain(character);
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u202egnp.\\u0000");
    expect(html).toContain("__proto__");
    expect(html.length).toBeLessThan(30_000);
  });

  it("lists no more findings than one reads on paper, and counts the others", () => {
    const findings = Array.from({ length: 1501 }, (_, entry) => finding("missing", { entry }));
    const keys = Array.from({ length: 1501 }, () => ({ ...facts.keys[0]!, state: "DISABLED" as const }));
    const html = reportHtml(withLog({ findings }, { keys }), made);
    expect(html.match(/<td class="short"><bdi>DISABLED/g)).toHaveLength(500);
    expect(html).toContain("The spans of 1,496 other gaps.");
    expect(html.match(/class="result">missing</g)).toHaveLength(500);
    expect(html).toContain("And 1,001 more");
  });
});
