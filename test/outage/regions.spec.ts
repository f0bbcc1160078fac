/** One multi-Region key in two regions: while the first cannot be reached, nobody notices, not even those whose keys must be made. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { atExit } from "../support/cli-fixture.ts";
import { patience } from "../durable/patience.ts";
import { firstCalls } from "./load-loop.ts";
import { isTotal, type Mode, modeNames } from "./modes.ts";
import { runWithoutRegion } from "./regions.ts";
import { failuresOf, line } from "./run.ts";
import { type OutageService, startOutageService } from "./service.ts";

const seconds = Number(process.env.OUTAGE_SECONDS ?? 5);
const wanted = (process.env.OUTAGE_MODE ?? modeNames.join()).split(",") as Mode[];

describe("the first of two regions", () => {
  let service: OutageService;
  let tokens: Map<string, string>;

  beforeAll(async () => {
    service = await startOutageService({
      regions: ["us-east-1", "eu-west-1"],
      env: { KMS_CACHE_TTL: "5s" },
      finished: atExit,
    });
    tokens = await firstCalls(
      service.kms,
      Array.from({ length: 50 }, (_, index) => `tenant-${index}`),
    );
  });

  afterAll(async () => {
    await service?.close();
  });

  it.each(wanted)("is %s, and no call fails; then it is used again", async (mode) => {
    const report = await runWithoutRegion({ service, tokens, mode, seconds });
    console.log(
      [
        `${mode}, ${seconds} s without us-east-1: back after ${report.returnedAfterMs.toFixed(0)} ms`,
        line("all cached", report.cached),
        line("cold", report.cold),
        `  ${report.atSecond} requests at eu-west-1; ${report.breakers.join(", ")}`,
      ].join("\n"),
    );

    expect(failuresOf(report.cached)).toEqual({});
    expect(failuresOf(report.cold)).toEqual({});
    expect(report.atSecond).toBeGreaterThan(seconds);
    expect(report.breakers[1]).toBe("aws/eu-west-1 closed");
    if (isTotal(mode)) {
      expect(report.breakers[0]).toMatch(/^aws\/us-east-1 (open|half-open)$/);
      expect(report.notices[0]).toContain("Calls to aws/us-east-1 are paused");
      expect(report.regionInUse).toBe("eu-west-1");
    }
    expect(report.returnedAfterMs).toBeLessThan(patience(5_000));
    if (isTotal(mode)) expect(report.regionAfter).toBe("us-east-1");
  });
});
