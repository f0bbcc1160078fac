/** The files of Prometheus, and what the service shows it, as promtool sees them: it must find nothing to say. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { join } from "node:path";
import { checkConfig } from "./alertmanager.ts";
import { rulesPath } from "./alert-rules.ts";
import { promtool } from "./prometheus.ts";
import { scrape } from "./scraped.ts";
import { newSite, ownTenant, type Service, type Site } from "./site.ts";
import { callEverything } from "./use.ts";

let site: Site;
let service: Service;
beforeAll(async () => {
  site = await newSite({ whole: true });
  service = await site.start();
});
afterAll(() => site?.end());

it.concurrent("has rules that are right, and each alert fires and is silent where it should", async () => {
  const checked = await promtool(["check", "rules", "--lint=all", "--lint-fatal", rulesPath]);
  expect(checked.code, checked.said).toBe(0);
  const tested = await promtool(["test", "rules", join(rulesPath, "..", "kms-alerts.test.yaml")]);
  expect(tested.code, tested.said).toBe(0);
});

it.concurrent("has a configuration of Alertmanager that is right", async () => {
  const { code, said } = await checkConfig();
  expect(code, said).toBe(0);
});

it.concurrent("shows metrics in good form, before any call and after one of every method", async () => {
  const check = async () => promtool(["check", "metrics"], (await scrape(service)).text);
  expect(await check()).toEqual({ code: 0, said: "" });
  for (const tenantId of ["acme", ownTenant]) await callEverything(site, service, tenantId);
  expect(await check()).toEqual({ code: 0, said: "" });
});
