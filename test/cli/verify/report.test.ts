/** The facts that `verify` establishes, and the report that it writes of them. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { checkpointsIn } from "../../../src/cli/files.ts";
import { factsOf } from "../../../src/cli/verify/report-facts.ts";
import { judgeSpans } from "../../../src/cli/verify/judged-spans.ts";
import { readKeySet, trustedKeySet } from "../../../src/cli/verify/key-set.ts";
import { verifyLogs } from "../../../src/cli/verify/log.ts";
import { parseVerifierKey } from "../../../src/tlog/verifier-key.ts";
import { conclusionOf, ofCompromisedKeys } from "../../../src/verification-report/conclusion.ts";
import type { Asked, Facts } from "../../../src/verification-report/facts.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { compromisedAt, keysFile } from "../../support/keys-file.ts";
import { exported, nameOf, pay } from "../../support/log-auditor.ts";
import type { Bytes } from "../../support/otlp-wire.ts";
import { type TestLog, testKey, testLog } from "../../support/test-log.ts";

interface Given {
  keys?: unknown;
  kept?: Readonly<Record<string, string>>;
  asked?: Partial<Asked>;
}

const asked: Asked = {
  log: true,
  tenant: undefined,
  vkeys: [],
  from: undefined,
  to: undefined,
  anyOrder: false,
  keptBy: undefined,
};

/** Six spans, a handover, three spans, a handover, two spans: entries 0 to 12. */
let log: TestLog;
let spans: Bytes[];
let middle: string;
beforeAll(async () => {
  log = testLog();
  spans = await log.sign(...[0, 1, 2, 3, 4, 5].map((n) => pay(n)));
  await log.rotate();
  spans.push(...(await log.sign(pay(6), pay(7), pay(8))));
  middle = log.checkpoint();
  await log.rotate();
  spans.push(...(await log.sign(pay(9), pay(10))));
});

function facts(given: readonly Bytes[], { keys = keysFile([log]), kept = {}, asked: more = {} }: Given = {}): Facts {
  const question = { ...asked, ...more };
  const [keysBytes, spansBytes] = [Buffer.from(JSON.stringify(keys)), exported(given)];
  const all = readKeySet(keysBytes);
  const first = question.vkeys.map((vkey) => parseVerifierKey(vkey)!);
  const trusted = first.length === 0 ? all : trustedKeySet(all, first);
  const judged = judgeSpans(spansBytes, trusted, question.tenant);
  const checkpoints = Object.entries(kept).map(([name, text]) => ({ name, text }));
  const { logs } = question.log
    ? verifyLogs(judged, {
        keys: trusted,
        kept: checkpoints.flatMap(({ name, text }) => checkpointsIn(text, name)),
        from: question.from,
        to: question.to,
        isOrdered: !question.anyOrder,
      })
    : { logs: [] };
  const files = [
    { role: "spans" as const, name: "spans", bytes: spansBytes },
    { role: "keys" as const, name: "keys.json", bytes: keysBytes },
    ...checkpoints.map(({ name, text }) => ({ role: "checkpoints" as const, name, bytes: Buffer.from(text) })),
  ];
  return factsOf(question, files, { keys: trusted, spans: judged, logs });
}

describe("facts", () => {
  it("name the spans on both sides of a gap, and when they were signed", () => {
    const { logs } = facts(spans.toSpliced(2, 2));
    expect(logs[0]!.findings).toEqual([
      expect.objectContaining({
        what: "missing",
        entry: 2,
        count: 2,
        span: undefined,
        after: { span: nameOf(1), signedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
        before: { span: nameOf(4), signedAt: expect.stringMatching(/^\d{4}-.*Z$/) },
      }),
    ]);
  });

  it("leave out a side on which there is no span", () => {
    const end = log.checkpoint();
    const [finding] = facts(spans.slice(0, 9), { kept: { end } }).logs[0]!.findings;
    expect(finding).toMatchObject({ what: "missing", entry: 11, count: 2, before: undefined });
  });

  it("say who vouches for each key: the asker, or a key before it by a handover", () => {
    const [first, second, third] = [1, 2, 3].map((n) => testKey(n).keyId);
    const vkeys = [keysFile([log]).keys[0]!.vkeys[0]!];
    const { keys, handovers } = facts(spans, { asked: { vkeys } });
    const { origin } = log;
    expect(keys.map(({ keyId, vouchedBy, spans: own }) => ({ keyId, vouchedBy, own }))).toEqual([
      { keyId: first, vouchedBy: { by: "asker" }, own: 6 },
      { keyId: second, vouchedBy: { by: "handover", fromKeyId: first, origin, entry: 6 }, own: 3 },
      { keyId: third, vouchedBy: { by: "handover", fromKeyId: second, origin, entry: 10 }, own: 2 },
    ]);
    expect(handovers).toEqual([
      { origin, entry: 6, fromKeyId: first, toKeyId: second },
      { origin, entry: 10, fromKeyId: second, toKeyId: third },
    ]);
    expect(facts(spans).keys.map(({ vouchedBy }) => vouchedBy.by)).toEqual(["file", "file", "file"]);
  });

  it("say which checkpoints agree, and up to when they cover spans", async () => {
    const other = testLog();
    const compared = (given: readonly Bytes[], kept: Record<string, string>) =>
      facts(given, { kept }).logs[0]!.checkpoints.map(({ agrees, covers }) => ({
        agrees,
        covers: covers !== undefined,
      }));
    expect(compared(spans, { middle })).toEqual([{ agrees: true, covers: true }]);
    expect(compared(spans.slice(0, 2), { middle })).toEqual([{ agrees: undefined, covers: false }]);
    await other.sign(...[9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => pay(n, 99)));
    expect(compared(spans, { other: other.checkpoint() })).toEqual([{ agrees: false, covers: false }]);
  });

  it("say which entries beside a gap a checkpoint is shown to be of", () => {
    const covered = (given: readonly Bytes[]) => facts(given, { kept: { middle } }).logs[0]!.checkpoints[0]!.covered;
    expect(covered(spans)).toEqual([{ from: 0, to: 10 }]);
    expect(covered(spans.toSpliced(5, 1))).toEqual([
      { from: 0, to: 4 }, // a subtree before the gap and after it; entry 4 is in none
      { from: 6, to: 10 },
    ]);
    expect(covered(spans.toSpliced(6, 1))).toEqual([{ from: 8, to: 10 }]); // of 8 entries there is one subtree
  });

  it("tell what a compromised key signed", () => {
    const keys = keysFile([log], { 3: compromisedAt(log, 3) });
    const found = facts(spans, { keys });
    expect(found.keys.map(({ state, compromisedAt: at }) => [state, at])).toContainEqual([
      "COMPROMISED",
      "2026-05-01T00:00:00.000Z",
    ]);
    expect(found.spans.failures.map(({ reason }) => reason)).toEqual(["KEY_COMPROMISED", "KEY_COMPROMISED"]);
    expect(conclusionOf(found)).toBe("FAILED");
  });

  it("tell apart what a compromised key signed outside of the entries checked", () => {
    const found = facts(spans, { keys: keysFile([log], { 3: compromisedAt(log, 3) }), asked: { to: 10 } });
    expect(found.spans.failures.map(({ place }) => place)).toEqual([
      { origin: log.origin, entry: 11 },
      { origin: log.origin, entry: 12 },
    ]);
    expect([conclusionOf(found), ofCompromisedKeys(found)]).toEqual(["CONSISTENT", { proven: 0, notChecked: 2 }]);
  });

  it("count spans for each tenant, and the digests of the exhibits", () => {
    const { exhibits, spans: counts } = facts(spans, { kept: { middle }, asked: { log: true } });
    expect(counts).toMatchObject({ total: 11, verified: 11, tenants: [{ tenant: "acme", spans: 11 }], failures: [] });
    expect(exhibits.map(({ role, name, sha256 }) => [role, name, sha256])).toEqual([
      ["spans", "spans", digest(exported(spans))],
      ["keys", "keys.json", digest(JSON.stringify(keysFile([log])))],
      ["checkpoints", "middle", digest(middle)],
    ]);
  });
});

function digest(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("verify --report", () => {
  const files = () => ({ "keys.json": JSON.stringify(keysFile([log])), spans: exported(spans), end: log.checkpoint() });
  const verify = (cwd: string, ...args: string[]) => run(["verify", "--keys", "keys.json", ...args, "spans"], { cwd });

  it("writes the same bytes for the same input and date", async () => {
    const cwd = directory(files());
    const args = ["--log", "--checkpoint", "end", "--kept-by", "Ann", "--date", "2026-12-02"];
    const [one, two] = await Promise.all(["a.html", "b.html"].map((name) => verify(cwd, ...args, "--report", name)));
    expect([one!.code, two!.code]).toEqual([0, 0]);
    const html = readFileSync(join(cwd, "a.html"), "utf8");
    expect(html).toBe(readFileSync(join(cwd, "b.html"), "utf8"));
    expect(html).toContain("<strong>CONSISTENT</strong>");
    expect(html).toContain("Whoever asked says, and nothing checks, that it was kept by: Ann.");
    expect(html).toContain(
      "fluo-kms verify --log --keys keys.json --checkpoint end --kept-by Ann --report report.html",
    );
  });

  it("writes it of spans that do not verify, too, with the exit code of those", async () => {
    const cwd = directory({ ...files(), spans: exported([pay(1)]) });
    const { code } = await verify(cwd, "--report", "report.html");
    expect(code).toBe(1);
    expect(readFileSync(join(cwd, "report.html"), "utf8")).toContain("<strong>FAILED</strong>");
  });

  it("writes none of an input that is none", async () => {
    const cwd = directory({ ...files(), spans: "no spans" });
    expect((await verify(cwd, "--report", "report.html")).code).toBe(1);
    expect(existsSync(join(cwd, "report.html"))).toBe(false);
  });

  it.each([
    ["a file that exists", ["--report", "keys.json"], "keys.json exists already; name another file"],
    ["a date that there is not", ["--report", "r", "--date", "2026-02-30"], "--date is a date such as 2026-01-02"],
    ["a date in words", ["--report", "r", "--date", "today"], "--date is a date such as 2026-01-02"],
    ["a date without a report", ["--date", "2026-12-02"], "--date is for --report"],
    ["a keeper without a checkpoint", ["--log", "--report", "r", "--kept-by", "x"], "--kept-by is for --checkpoint"],
  ])("refuses %s", async (_, args, message) => {
    const { code, err } = await verify(directory(files()), ...args);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
