/** The table of docs/COST.md, by the arithmetic that Status has. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { costOf } from "../../../src/service/kms/cost.ts";

const guide = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "COST.md"), "utf8");
const ttlsMs = [5, 30, 60, 240, 1_440].map((minutes) => minutes * 60_000);

/** Of keys in steady use, and no other call but looks. */
function monthly(tenants: number, replicas: number, ttlMs: number): number {
  const prices = { per10000Calls: 0.03, perKeyMonth: 1, charged: "all", currency: "USD" } as const;
  const { projections } = costOf({
    prices,
    calls: new Map(),
    loads: { refreshed: 0, expired: 0 },
    uptimeMs: 0,
    cachedKeys: 2 * tenants,
    providerKeys: 1,
    ttlMs,
    checkMs: 30_000,
  });
  return replicas * (projections[1]!.mostCostPerMonth - prices.perKeyMonth) + prices.perKeyMonth;
}

it("says what a month costs by tenants, replicas and TTL", () => {
  const rows = [...guide.matchAll(/^\| ([\d,]+) +\| (\d) +\|((?: [\d,.]+ +\|){5})$/gm)];
  expect(rows).toHaveLength(8);
  for (const [, tenants, replicas, cells] of rows) {
    const expected = ttlsMs.map((ttlMs) => monthly(Number(tenants!.replaceAll(",", "")), Number(replicas), ttlMs));
    const money = expected.map((amount) =>
      amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
    );
    expect(
      cells!
        .split("|")
        .map((cell) => cell.trim())
        .filter((cell) => cell !== ""),
    ).toEqual(money);
  }
});
