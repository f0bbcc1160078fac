/** Limits that acted: what the log, the metric and remarks have of them. */
import { describe, expect, it } from "vitest";
import { type LimitLine, maxNames, createLimitLog } from "../../src/limits/log.ts";

function setUp() {
  const lines: LimitLine[] = [];
  const time = { ms: 0 };
  const limitLog = createLimitLog({
    log: (line) => lines.push(line),
    now: () => time.ms,
  });
  return { limitLog, lines, time };
}

describe("a limit that acts", () => {
  it("is logged at once, and then at most once in 10 s with all on whom it acted since", () => {
    const { limitLog, lines, time } = setUp();
    limitLog.acted("caller", { who: "token:a" });
    for (let n = 0; n < 5; n += 1) limitLog.acted("caller", { who: "token:b" });
    limitLog.acted("caller", { who: "token:a" });
    expect(lines).toEqual([{ limit: "caller", who: ["token:a (1)"], times: 1 }]);
    time.ms = 9_999;
    limitLog.acted("caller", { who: "token:a" });
    expect(lines).toHaveLength(1);
    time.ms = 10_000;
    limitLog.acted("caller", { who: "token:c" });
    expect(lines.slice(1)).toEqual([{ limit: "caller", who: ["token:b (5)", "token:a (2)", "token:c (1)"], times: 8 }]);
    expect(limitLog.counts()).toMatchObject({ caller: 9, failures: 0 });
  });

  it("is logged apart from another", () => {
    const { limitLog, lines } = setUp();
    limitLog.acted("caller", { who: "token:a" });
    limitLog.acted("failures", { who: "192.0.2.1" });
    expect(lines.map(({ limit }) => limit)).toEqual(["caller", "failures"]);
  });

  it("is remembered for 10 min since it last did, if somebody can change it", () => {
    const { limitLog, time } = setUp();
    limitLog.acted("caller", { who: "token:a", by: "fluo.kms.limit.caller" });
    limitLog.acted("failures", { who: "192.0.2.1" });
    time.ms = 300_000;
    limitLog.acted("tenant", { who: "acme", by: "fluo.kms.limit.tenant" });
    const [ofCaller, ofTenant] = [
      { limit: "caller", who: "token:a", by: "fluo.kms.limit.caller" },
      { limit: "tenant", who: "acme", by: "fluo.kms.limit.tenant" },
    ];
    expect(limitLog.recent()).toEqual([ofCaller, ofTenant]);
    time.ms = 600_000;
    expect(limitLog.recent()).toEqual([ofTenant]);
    time.ms = 900_000;
    expect(limitLog.recent()).toEqual([]);
  });

  it("tells so many names apart and no more", () => {
    const { limitLog, lines, time } = setUp();
    for (let n = 0; n < 3 * maxNames; n += 1) limitLog.acted("caller", { who: `token:${n}`, by: "x" });
    expect(limitLog.recent()).toHaveLength(maxNames);
    time.ms = 10_000;
    limitLog.acted("caller", { who: "token:9" });
    expect(lines[1]).toMatchObject({
      times: 3 * maxNames,
      who: ["token:9 (2)", expect.anything(), ...Array(3).fill(expect.anything())],
    });
  });
});
