/**
 * Makes `fluo-verify.html` of clients/page: one file with its style and its script, which lets nothing else run and makes no request. The same
 * sources make the same bytes. `npm run gen` writes it.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { reportStyle } from "../src/verification-report/style.ts";

const root = join(import.meta.dirname, "..");
const sources = join(root, "clients", "page");

const about = `<!--
fluo-verify.html: verifies spans that fluo-kms signed, in a browser, offline. Open it from disk.
Copyright FLUO. Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
Made by \`npm run gen\` of https://github.com/fluo-dev/fluo-kms from clients/page and the verifier of clients/typescript.
-->`;

export interface VerifierPage {
  html: string;
  /** Lower-case hex. */
  sha256: string;
}

export async function makeVerifierPage(): Promise<VerifierPage> {
  const script = await bundledScript();
  const style = readFileSync(join(sources, "page.css"), "utf8");
  const policy = `<meta http-equiv="Content-Security-Policy" content="${policyFor(script, style)}">`;
  const parts = {
    "<!doctype html>": `<!doctype html>\n${about}`,
    "<!-- POLICY -->": policy,
    "<!-- STYLE -->": `<style>${style}</style>`,
    "<!-- SCRIPT -->": `<script>${script}</script>`,
  };
  let html = readFileSync(join(sources, "page.html"), "utf8");
  for (const [place, part] of Object.entries(parts)) {
    if (!html.includes(place)) throw new Error(`page.html has no ${place}`);
    html = html.replace(place, () => part);
  }
  return { html, sha256: createHash("sha256").update(html).digest("hex") };
}

/** The report lies in a frame to be printed, under this policy too: hence its style. */
function policyFor(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src ${sourceOf(script)}`,
    "worker-src blob:",
    `style-src ${sourceOf(style)} ${sourceOf(reportStyle)}`,
    "img-src data:", // the empty icon, without which a browser asks for one
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types fluo-verify",
  ].join("; ");
}

function sourceOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** A classic script, as it is made a worker of, too. */
async function bundledScript(): Promise<string> {
  const bundle = await rolldown({ input: join(sources, "main.ts"), cwd: root, platform: "browser" });
  const { output } = await bundle.generate({ format: "iife" });
  await bundle.close();
  const [{ code, imports }] = output;
  if (output.length > 1 || imports.length > 0) throw new Error("the page's script is not one file without imports");
  // Either would end the element, or change how it ends.
  if (/<\/script|<!--/i.test(code)) throw new Error("the page's script has a text that ends its element");
  return `\n${code}`;
}
