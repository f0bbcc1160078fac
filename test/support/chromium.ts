/** Chromium, driven by playwright-core. Both are installed by the suites that need them (scripts/tools/debian.ts, npm-packages.ts). */
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium as programOf } from "../../scripts/tools/debian.ts";

/** What is used of a page. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<Result>(expression: string): Promise<Result>;
  evaluate<Given, Result>(work: (given: Given) => Result | Promise<Result>, given: Given): Promise<Result>;
  on(event: "console", listener: (message: { text(): string }) => void): unknown;
  on(event: "pageerror", listener: (error: Error) => void): unknown;
  on(event: "request", listener: (request: { url(): string }) => void): unknown;
  on(event: "filechooser", listener: (chooser: { setFiles(paths: readonly string[]): Promise<void> }) => void): unknown;
  setInputFiles(selector: string, paths: readonly string[]): Promise<void>;
  addInitScript(script: string): Promise<unknown>;
  waitForEvent(event: "download"): Promise<{ path(): Promise<string>; suggestedFilename(): string }>;
  keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
}

export interface Browser {
  newContext(options: object): Promise<{ newPage(): Promise<Page>; close(): Promise<void> }>;
  newBrowserCDPSession(): Promise<{
    send(method: "SystemInfo.getProcessInfo"): Promise<{ processInfo: { type: string; id: number }[] }>;
    detach(): Promise<void>;
  }>;
  close(): Promise<void>;
}

const quiet = [
  ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

/** Resolves packages of npm that a suite has installed as `tools/NAME`. */
export function packagesOf(name: string): NodeJS.Require {
  return createRequire(join(import.meta.dirname, "..", "..", "tools", name, "package.json"));
}

/** Starts Chromium by the playwright-core that is in `tools/NAME`. */
export async function launchChromium(name: string): Promise<Browser> {
  const { chromium } = (await import(pathToFileURL(packagesOf(name).resolve("playwright-core")).href)).default as {
    chromium: { launch(options: object): Promise<Browser> };
  };
  return chromium.launch({
    executablePath: programOf(),
    chromiumSandbox: false, // root has none
    args: quiet,
    env: { ...process.env, HOME: mkdtempSync(join(tmpdir(), "fluo-kms-chromium-")) },
  });
}
