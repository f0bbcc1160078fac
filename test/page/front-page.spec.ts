/** The front page in Chromium: on a phone and a desk, light and dark, in each state; judged by axe-core. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Browser, launchChromium, type Page } from "../support/chromium.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { startTransports, type Transports } from "../support/transports-fixture.ts";
import { findingsIn } from "./axe.ts";

let browser: Browser;
let service: RunningService;
let steered: Transports;
let ending: Transports;
beforeAll(async () => {
  [browser, service, steered, ending] = await Promise.all([
    launchChromium("page"),
    startService(),
    startTransports({}),
    startTransports({}),
  ]);
  ending.leave();
});
afterAll(async () => {
  await browser?.close();
  await Promise.all([service?.stop(), steered?.stop(), ending?.stop()]);
});

interface Opened {
  page: Page;
  /** Where the browser asked, for whatever reason. */
  asked: string[];
  /** What it complained about, such as a style that the page's policy refuses. */
  complaints: string[];
}

async function open(url: string, width: number, colorScheme: string): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
  const page = await context.newPage();
  const [asked, complaints]: [string[], string[]] = [[], []];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, asked, complaints };
}

function titleOf(page: Page): Promise<string> {
  return page.evaluate("document.querySelector('strong').textContent");
}

const views = [360, 1280].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));

describe.each(views)("at $width pixels, $scheme", ({ width, scheme }) => {
  it("is shown in its own style, without a complaint or another request", async () => {
    const { page, asked, complaints } = await open(service.url, width, scheme);
    const shown = await page.evaluate<object>(`({
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      font: getComputedStyle(document.body).fontFamily,
      paper: getComputedStyle(document.body).backgroundColor,
    })`);
    expect(shown).toEqual({
      overflow: 0,
      font: "system-ui, sans-serif",
      paper: scheme === "light" ? "rgb(253, 253, 251)" : "rgb(20, 22, 25)",
    });
    expect(complaints).toEqual([]);
    // The empty icon lies in the page.
    expect(asked.filter((url) => url !== "data:,")).toEqual([`${service.url}/`]);
  });

  it("has nothing that axe-core finds while the service ends", async () => {
    const { page } = await open(ending.url, width, scheme);
    expect(await titleOf(page)).toBe("Shutting down");
    expect(await findingsIn(page)).toEqual([]);
  });

  it.each([
    ["operational", "Ready"],
    ["down", "Not ready"],
  ] as const)("has nothing that axe-core finds while the service is %s", async (status, title) => {
    steered.becomes(status);
    const { page } = await open(steered.url, width, scheme);
    expect(await titleOf(page)).toBe(title);
    expect(await findingsIn(page)).toEqual([]);
  });
});

it("has links that are answered", async () => {
  const { page } = await open(service.url, 1280, "light");
  const hrefs = await page.evaluate<string[]>("[...document.links].map(({ href }) => href)");
  const own = hrefs.filter((href) => href.startsWith(service.url));
  expect(own.map((href) => new URL(href).pathname)).toEqual(["/q/health/ready", "/q/health/live", "/q/metrics"]);
  for (const href of own) expect([href, (await fetch(href)).status]).toEqual([href, 200]);
});

it("has an example that works as it stands", async () => {
  const { page } = await open(service.url, 1280, "light");
  const command = await page.evaluate<string>("document.querySelector('pre').textContent");
  const { stdout } = await promisify(execFile)("sh", ["-c", command]);
  expect(JSON.parse(stdout)).toMatchObject({ status: "HEALTH_OPERATIONAL" });
});
