/**
 * How many series a replica has that is set up as in production: each is paid for by whoever runs Prometheus, times the replicas. The figures
 * of series.json are those that docs say; they are set anew by whoever adds a metric and means to.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import committed from "./series.json" with { type: "json" };
import { scrape } from "./scraped.ts";
import { newSite, ownTenant, type Service, type Site } from "./site.ts";
import { callEverything } from "./use.ts";

/** By how much they may differ from the figures. */
const growth = 1.2;

let server: SharedPostgres;
let site: Site;
let service: Service;
beforeAll(async () => {
  server = await sharedPostgres();
  site = await newSite({ database: await server.createDatabase(), whole: true });
  service = await site.start();
});
afterAll(async () => {
  await site?.end();
  await server?.close();
});

it("has no fifth more series than committed, idle and after a call of every method", async () => {
  const count = async () => (await scrape(service)).samples.length;
  const idle = await count();
  for (const tenantId of ["acme", ownTenant]) await callEverything(site, service, tenantId);
  const busy = await count();
  console.log(
    `series of a replica: ${idle} idle, ${busy} after a call of every method; committed ${committed.idle} and ${committed.busy}`,
  );
  for (const [counted, figure] of [
    [idle, committed.idle],
    [busy, committed.busy],
  ] as const) {
    expect(counted).toBeLessThanOrEqual(figure * growth);
    expect(counted, "many fewer: set series.json anew").toBeGreaterThanOrEqual(figure / growth);
  }
});
