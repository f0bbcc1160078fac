/** The front page as HTML: one document without scripts, whose style lies in it, so that it makes no request. */
import { createHash } from "node:crypto";
import type { Entry, FrontPage, Section, State } from "./content.ts";

const style = `
:root {
  color-scheme: light dark;
  --paper: #fdfdfb;
  --ink: #1b1c1e;
  --quiet: #595c61;
  --line: #deded8;
  --shade: #f3f3ee;
  --link: #0a559f;
  --ready: #1a6b3c;
  --not-ready: #b3261e;
  --ending: #8a5300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141619;
    --ink: #e9e8e4;
    --quiet: #a6a9ae;
    --line: #303338;
    --shade: #1d2024;
    --link: #8dbcf2;
    --ready: #7bcf9b;
    --not-ready: #ff9d94;
    --ending: #efb968;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif;
  overflow-wrap: break-word;
}
main { max-width: 53rem; margin: 0 auto; padding: clamp(2rem, 8vw, 6rem) 1.25rem; }
h1 { font-size: 2.25rem; line-height: 1.15; font-weight: 650; letter-spacing: -0.025em; }
h2 { font-size: 1rem; font-weight: 600; }
header p { margin-top: 0.75rem; font-size: 1.125rem; color: var(--quiet); }
a { color: var(--link); text-underline-offset: 0.2em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
a:focus-visible { outline: 2px solid; outline-offset: 3px; border-radius: 2px; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.9em; }
.state { display: flex; gap: 0.75rem; align-items: flex-start; margin: 2.5rem 0; }
.state svg { flex: none; width: 1.75rem; height: 1.75rem; }
.state strong { display: block; font-size: 1.25rem; line-height: 1.75rem; font-weight: 600; }
.state svg, .state strong { color: var(--state); }
.ready { --state: var(--ready); }
.not-ready { --state: var(--not-ready); }
.ending { --state: var(--ending); }
section { border-top: 1px solid var(--line); padding: 1.5rem 0; }
section > h2 { margin-bottom: 0.75rem; }
dl > div + div { margin-top: 0.75rem; }
dd, .intro { color: var(--quiet); }
.intro { margin-top: 1.25rem; }
pre {
  margin-top: 0.75rem;
  padding: 1rem;
  background: var(--shade);
  border-radius: 0.375rem;
  line-height: 1.55;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
@media (min-width: 44rem) {
  section { display: grid; grid-template-columns: 9.5rem 1fr; column-gap: 1.5rem; padding: 1.75rem 0; }
  section > h2 { margin: 0; }
  dl > div { display: grid; grid-template-columns: 8.5rem 1fr; column-gap: 1.5rem; }
}
`;

const styleHash = createHash("sha256").update(style).digest("base64");

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  "img-src data:", // the empty icon, without which a browser asks for /favicon.ico
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
];

export const htmlHeaders = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  vary: "accept",
  "content-security-policy": policy.join("; "),
  "referrer-policy": "no-referrer",
};

export function pageHtml({ name, purpose, state, sections }: FrontPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(name)}: ${escaped(state.title.toLowerCase())}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<header>
<h1>${escaped(name)}</h1>
<p>${escaped(purpose)}</p>
</header>
${stateHtml(state)}
${sections.map(sectionHtml).join("\n")}
</main>
</body>
</html>
`;
}

/** A tick, a cross and a bar, so that the state is not told by colour alone. */
const marks: Readonly<Record<State["kind"], string>> = {
  ready: "M8 12.5l2.75 2.75L16 9.5",
  "not-ready": "M9 9l6 6m0-6l-6 6",
  ending: "M8 12h8",
};

function stateHtml({ kind, title, meaning }: State): string {
  return `<div class="state ${kind}">
<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
<circle cx="12" cy="12" r="10"/><path d="${marks[kind]}"/>
</svg>
<p><strong>${escaped(title)}</strong> ${escaped(meaning)}</p>
</div>`;
}

function sectionHtml({ title, entries, example }: Section): string {
  const exampleHtml = example
    ? `\n<p class="intro">${escaped(example.intro)}</p>\n<pre><code>${breakable(example.command)}</code></pre>`
    : "";
  return `<section>
<h2>${escaped(title)}</h2>
<div>
<dl>
${entries.map(entryHtml).join("\n")}
</dl>${exampleHtml}
</div>
</section>`;
}

function entryHtml({ name, href, meaning }: Entry): string {
  const label = name.startsWith("/") ? `<code>${escaped(name)}</code>` : escaped(name);
  const term = href === undefined ? label : `<a href="${escaped(href)}">${label}</a>`;
  return `<div><dt>${term}</dt><dd>${breakable(meaning)}</dd></div>`;
}

/** Lets a long path wrap behind its slashes, on a narrow screen. */
function breakable(text: string): string {
  return escaped(text).replaceAll(/(?<=\w\/)(?=\w)/g, "<wbr>");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
