/** What it takes to verify an export: by the command, and by the page in Chromium, beside the bare cost of their cryptography. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, launchChromium } from "../../test/support/chromium.ts";
import { aligned, digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import { canWatch, watchMemory } from "../memory/resident.ts";
import { bareInNode, bareInPage } from "./bare.ts";
import { type Exports, writeExports } from "./exports.ts";

interface Taken {
  seconds: number;
  /** MiB, the most at once. */
  memory: number;
}

interface Round {
  command: Taken;
  page: Taken;
  bareCommand: number;
  barePage: number;
}

const root = join(import.meta.dirname, "..", "..");
const whole = { spans: 100_000, rounds: 3 };
const short = { spans: 5_000, rounds: 1 };

export async function verifying({ isShort }: { isShort: boolean }) {
  if (!canWatch) throw new Error("the memory of processes is read from /proc, which is not there");
  const { spans, rounds } = isShort ? short : whole;
  const exports = await writeExports(spans);
  const browser = await launchChromium("page");
  const rows = [];
  try {
    for (const mode of ["log", "individual"] as const) {
      const taken: Round[] = [];
      for (let round = 0; round < rounds; round += 1) taken.push(await takeRound(browser, exports, mode, spans));
      rows.push({ mode, bytes: statSync(exports[mode]).size, ...figuresOf(taken) });
    }
  } finally {
    await browser.close();
  }
  console.log(`\n${spans.toLocaleString("en")} spans, seconds and the most memory, by ${rounds} rounds`);
  console.log(aligned([heads, ...rows.map(lineOf)]));
  return rows;
}

async function takeRound(
  browser: Browser,
  exports: Exports,
  mode: "log" | "individual",
  spans: number,
): Promise<Round> {
  const work = { spans, signatures: mode === "individual" };
  const [bareCommand, command] = [bareInNode(work), await byCommand(exports, mode)];
  return { bareCommand, command, ...(await byPage(browser, exports, mode, bareInPage(work))) };
}

async function byCommand({ keys, ...files }: Exports, mode: "log" | "individual"): Promise<Taken> {
  const args = ["verify", ...(mode === "log" ? ["--log"] : []), "--keys", keys, files[mode]];
  const start = performance.now();
  const child = spawn(process.execPath, [join(root, "src", "main.js"), ...args], { stdio: "ignore" });
  let memory = 0;
  const timer = setInterval(() => {
    memory = Math.max(memory, peakOf(child.pid!));
  }, 20);
  const [code] = await once(child, "exit");
  clearInterval(timer);
  if (code !== 0) throw new Error(`the command ended with ${code}`);
  return { seconds: (performance.now() - start) / 1000, memory };
}

/** 0 once the process has ended. */
function peakOf(pid: number): number {
  try {
    const watch = watchMemory(pid);
    watch.stop();
    return watch.resident().kernel;
  } catch {
    return 0;
  }
}

/** In a tab of its own, whose process has its worker, too. */
async function byPage(
  browser: Browser,
  { keys, ...files }: Exports,
  mode: "log" | "individual",
  bare: string,
): Promise<{ page: Taken; barePage: number }> {
  const before = await renderersOf(browser);
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  await page.goto(pathToFileURL(join(root, "gen", "fluo-verify.html")).href);
  const own = (await renderersOf(browser)).filter((pid) => !before.includes(pid));
  await page.setInputFiles("#spans-file", [files[mode]]);
  await page.setInputFiles("#keys-file", [keys]);
  await page.evaluate(
    `document.getElementById("log").checked !== ${mode === "log"} && document.getElementById("log").click()`,
  );
  const { seconds, conclusion } = await page.evaluate<{
    seconds: number;
    conclusion: string;
  }>(`new Promise((resolve, reject) => {
    const start = performance.now();
    const result = document.getElementById("result");
    result.addEventListener("trouble", ({ detail }) => reject(new Error(detail)));
    result.addEventListener("verified", () => resolve({
      seconds: (performance.now() - start) / 1000,
      conclusion: document.getElementById("conclusion").dataset.conclusion,
    }));
    document.getElementById("verify").click();
  })`);
  if (conclusion !== "CONSISTENT") throw new Error(`the page says ${conclusion}`);
  const memory = Math.max(...own.map(peakOf));
  const barePage = await page.evaluate<number>(bare);
  await context.close();
  return { page: { seconds, memory }, barePage };
}

async function renderersOf(browser: Browser): Promise<number[]> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
}

const heads = [
  ...["mode", "export", "command", "page", "page to command", "command to bare", "page to bare"],
  ...["memory of command", "of page", "page to command"],
];

function figuresOf(rounds: readonly Round[]) {
  const [command, page] = [rounds.map((each) => each.command), rounds.map((each) => each.page)];
  const seconds = (taken: readonly Taken[]) => taken.map((each) => each.seconds);
  const memory = (taken: readonly Taken[]) => taken.map((each) => each.memory);
  return {
    command: spread(seconds(command)),
    page: spread(seconds(page)),
    pageToCommand: ratios(seconds(page), seconds(command)),
    commandToBare: ratios(
      seconds(command),
      rounds.map(({ bareCommand }) => bareCommand),
    ),
    pageToBare: ratios(
      seconds(page),
      rounds.map(({ barePage }) => barePage),
    ),
    commandMemory: spread(memory(command)),
    pageMemory: spread(memory(page)),
    memoryPageToCommand: ratios(memory(page), memory(command)),
  };
}

function lineOf(row: { mode: string; bytes: number } & Record<keyof ReturnType<typeof figuresOf>, Spread>): string[] {
  return [
    ...[row.mode, `${digits(row.bytes / 2 ** 20)} MiB`, textOf(row.command, " s"), textOf(row.page, " s")],
    ...[textOf(row.pageToCommand, " x"), textOf(row.commandToBare, " x"), textOf(row.pageToBare, " x")],
    ...[textOf(row.commandMemory, " MiB"), textOf(row.pageMemory, " MiB"), textOf(row.memoryPageToCommand, " x")],
  ];
}
