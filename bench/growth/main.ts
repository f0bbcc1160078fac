/** What a call costs in a store with many tenants, or with many versions of a key, against a small one. */
import { aligned } from "../figures.ts";
import { type Counted, countsTable, measureCounts } from "./counts.ts";
import { type Growth, growthTable, measureGrowth } from "./measure.ts";
import { postgresPlace, sqlitePlace } from "./sizes.ts";

export interface GrowthResults {
  calls: Growth[];
  counts: Counted[];
}

export async function growth(): Promise<GrowthResults> {
  const results: GrowthResults = { calls: [], counts: [] };
  for (const open of [sqlitePlace, postgresPlace]) {
    const place = await open();
    if (place === undefined) {
      console.log("\nSKIPPED: growth in PostgreSQL, because there is no server for this machine");
      continue;
    }
    try {
      const calls = await measureGrowth(place);
      console.log(`\n${aligned(growthTable(calls))}`);
      results.calls.push(...calls);
      const counts = await measureCounts(place);
      console.log(`\n${aligned(countsTable(counts))}`);
      results.counts.push(...counts);
    } finally {
      await place.close();
    }
  }
  return results;
}
