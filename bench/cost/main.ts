/**
 * What a day of use costs at the provider: its calls, counted on a clock that is moved through the day, beside the formula of
 * docs/COST.md. The keyring, its caches and the local provider's cryptography are real. No timing, so that one round is enough.
 */
import { meanLife } from "../../src/keys/stale-policy.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import { counting } from "../../test/support/keys-fixture.ts";
import { useSteadily } from "../../test/support/steady-use.ts";
import { aligned } from "../figures.ts";

interface CostRow {
  title: string;
  tenants: number;
  ttlMs: number;
  requestsPerStep: number;
  stepMs: number;
}

interface CostResult extends CostRow {
  requests: number;
  /** Of the provider, to load keys. */
  loads: number;
  byFormula: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Each key every ten seconds. */
const everyKey = (tenants: number, ttlMs: number): CostRow => ({
  title: "each key every 10 s",
  tenants,
  ttlMs,
  requestsPerStep: 2 * tenants,
  stepMs: 10_000,
});
const seldom = (title: string, stepMs: number): CostRow => ({ ...everyKey(100, hourMs), title, stepMs });

const rows: readonly CostRow[] = [
  { title: "1,000 requests/s", tenants: 100, ttlMs: hourMs, requestsPerStep: 1_000, stepMs: 1_000 },
  ...[5 * minuteMs, hourMs / 2, hourMs, 2 * hourMs, dayMs / 4].map((ttlMs) => everyKey(100, ttlMs)),
  everyKey(1_000, hourMs),
  seldom("each key every 50 min", 50 * minuteMs),
  seldom("each key every 3 h", 3 * hourMs),
];

export async function cost(): Promise<CostResult[]> {
  const results: CostResult[] = [];
  for (const row of rows) results.push(await dayOf(row));
  console.log(`\n${aligned(costTable(results))}`);
  return results;
}

async function dayOf(row: CostRow): Promise<CostResult> {
  const { provider, calls } = counting(localProvider(randomMasterKey()));
  let made = 0;
  const { requests } = await useSteadily({ ...row, provider, forMs: dayMs, random: Math.random }, () => {
    made = calls.decrypt;
  });
  const byFormula = (2 * row.tenants * dayMs) / (meanLife * row.ttlMs);
  return { ...row, requests, loads: calls.decrypt - made, byFormula };
}

function costTable(results: readonly CostResult[]): string[][] {
  const whole = (value: number) => Math.round(value).toLocaleString("en");
  return [
    ["a day of", "keys", "TTL", "requests", "provider calls", "formula", "ratio", "requests a call"],
    ...results.map(({ title, tenants, ttlMs, requests, loads, byFormula }) => [
      title,
      whole(2 * tenants),
      `${ttlMs / minuteMs} min`,
      whole(requests),
      whole(loads),
      whole(byFormula),
      (loads / byFormula).toFixed(2),
      whole(requests / loads),
    ]),
  ];
}
