/**
 * The real service while AWS KMS (the fake) cannot be reached: those whose keys are cached notice nothing, others are refused at once, the
 * provider is tried once a second, and all is as before soon after it is back.
 */
import { describe, expect, it } from "vitest";
import { patience } from "../durable/patience.ts";
import { firstOfEach, isShort } from "../support/short.ts";
import { type Mode, modeNames, isTotal } from "./modes.ts";
import { described, failuresOf, quantile, runOutage } from "./run.ts";
import { startOutageService } from "./service.ts";

const seconds = Number(process.env.OUTAGE_SECONDS ?? (isShort ? 3 : 7));
const wanted = (process.env.OUTAGE_MODE ?? modeNames.join()).split(",") as Mode[];
const isLong = seconds > 60;

describe.each(firstOfEach(wanted))("an outage: %s", (mode) => {
  it("is not noticed on cached keys, is said at once on cold ones, and leaves nothing behind", async () => {
    const service = await startOutageService({ env: { KMS_CACHE_TTL: "5s" } });
    const report = await runOutage({
      service,
      mode,
      seconds,
      coldPerSecond: isLong ? 2 : 5,
      ...(isShort && { perSecond: 50 }), // the short form counts them by outcome alone
    });
    console.log(described(report));

    expect(failuresOf(report.cached)).toEqual({});
    if (isTotal(mode)) {
      expect(report.coldWhileOpen.length).toBeGreaterThan(5);
      expect(report.coldWhileOpen.every(({ outcome }) => outcome.startsWith("UNAVAILABLE"))).toBe(true);
      expect(report.probes).toBeLessThanOrEqual(report.openForMs / 1_000 + 1);
      expect(Object.keys(report.arrived).filter((operation) => operation !== "DescribeKey")).toEqual([]);
      expect(report.arrived.DescribeKey ?? 0).toBeLessThanOrEqual(report.openForMs / 1_000 + 1);
    }
    const others = report.coldBefore.filter(({ outcome }) => !/^(OK|UNAVAILABLE)/.test(outcome));
    expect(others).toEqual([]);
    expect(report.after.connections).toBeLessThanOrEqual(mostConnections);
    expect(report.after.handles).toBeLessThanOrEqual(
      report.before.handles + mostConnections - report.before.connections,
    );
    expect(report.after.liveMb).toBeLessThan(report.before.liveMb + mostGrowthMb);
    // Rates, which the short form only prints.
    if (!isShort) {
      expect(report.cached.length).toBeGreaterThan(seconds * 150);
      if (isTotal(mode)) expect(quantile(report.coldWhileOpen, 0.95)).toBeLessThan(patience(100));
      expect(report.recoveredAfterMs).toBeLessThan(patience(5_000));
    }
    await service.close();
  });
});

/** What the SDK's pool holds. */
const mostConnections = 32;
/** Of what is live. Resident memory is printed alone: it grows with load, as the heap is given room, whatever the provider does. */
const mostGrowthMb = 16;
