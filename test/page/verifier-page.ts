/** Drives gen/fluo-verify.html in a browser without a network, from disk, as clients/page/README.md says. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Facts } from "../../src/verification-report/facts.ts";
import type { Browser, Page } from "../support/chromium.ts";

export interface VerifierPage {
  page: Page;
  /** Where the browser asked, for whatever reason. */
  asked: string[];
  /** What it complained about, such as a script that the page's policy refuses. */
  complaints: string[];
}

const file = pathToFileURL(join(import.meta.dirname, "..", "..", "gen", "fluo-verify.html")).href;

export interface View {
  width?: number;
  colorScheme?: string;
  /** Run before the page's own script, in place of a browser that lacks something. */
  before?: string;
}

export async function openVerifier(browser: Browser, { width = 1280, colorScheme = "light", before }: View = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, offline: true });
  const page = await context.newPage();
  const opened: VerifierPage = { page, asked: [], complaints: [] };
  page.on("request", (request) => opened.asked.push(request.url()));
  page.on("console", (message) => opened.complaints.push(message.text()));
  page.on("pageerror", (error) => opened.complaints.push(error.message));
  if (before !== undefined) await page.addInitScript(before);
  await page.goto(file);
  return opened;
}

/** Requests but for the page itself, its empty icon, and its worker, which is made of its own text. */
export function foreignRequests({ asked }: VerifierPage): string[] {
  return asked.filter((url) => url !== file && url !== "data:," && !url.startsWith("blob:null/"));
}

export interface Dropped {
  name: string;
  bytes: Uint8Array;
}

/** Drops files somewhere on the page, and waits until they are listed or refused. */
export async function drop(page: Page, ...files: readonly Dropped[]): Promise<void> {
  const given = files.map(({ name, bytes }) => ({ name, base64: Buffer.from(bytes).toString("base64") }));
  await page.evaluate(`new Promise((resolve) => {
    const dataTransfer = new DataTransfer();
    for (const { name, base64 } of ${JSON.stringify(given)})
      dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))], name));
    const observer = new MutationObserver(() => {
      observer.disconnect();
      resolve();
    });
    for (const id of ["exhibits", "file-notes"])
      observer.observe(document.getElementById(id), { childList: true, subtree: true });
    const event = { bubbles: true, cancelable: true, dataTransfer };
    for (const name of ["dragover", "drop"]) document.querySelector("footer").dispatchEvent(new DragEvent(name, event));
  })`);
}

/** Presses the button, and returns the facts, or the sentence about what went wrong. */
export function verify(page: Page): Promise<Facts | string> {
  return page.evaluate<Facts | string>(`new Promise((resolve) => {
    const result = document.getElementById("result");
    for (const name of ["verified", "trouble"])
      result.addEventListener(name, ({ detail }) => resolve(detail), { once: true });
    document.getElementById("verify").click();
  })`);
}

/** Sets a field or a checkbox, as somebody who writes in it. */
export async function set(page: Page, id: string, value: string | boolean): Promise<void> {
  const member = typeof value === "boolean" ? "checked" : "value";
  await page.evaluate(`{
    const field = document.getElementById(${JSON.stringify(id)});
    field.${member} = ${JSON.stringify(value)};
    for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
  }`);
}

export async function press(page: Page, selector: string): Promise<void> {
  await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
}

export function textOf(page: Page, selector: string): Promise<string> {
  return page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`);
}

export function textsOf(page: Page, selector: string): Promise<string[]> {
  return page.evaluate<string[]>(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].map((each) => each.textContent)`,
  );
}

/** Waits until a script in the page is true; it is asked after each change of the page. */
export async function until(page: Page, condition: string): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    const look = () => {
      if (!(${condition})) return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
    look();
  })`);
}
