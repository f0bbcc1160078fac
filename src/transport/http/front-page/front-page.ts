/** The page at `/`, for a person who opens the service's address: what it is, whether it is ready, and where all else is. */
import { type Entry, type Example, type Facts, type FrontPage, pageOf } from "./content.ts";
import { htmlHeaders, pageHtml } from "./html.ts";
import { prefersHtml } from "./prefers-html.ts";

/** Returns the page in the form that a request's Accept header asks for. */
export function frontPage(facts: Facts, accept: string | undefined) {
  const page = pageOf(facts);
  return prefersHtml(accept)
    ? { headers: htmlHeaders, body: pageHtml(page) }
    : { headers: textHeaders, body: pageText(page) };
}

const textHeaders = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", vary: "accept" };

/** For a terminal, where nothing wraps by words. */
function pageText({ name, purpose, state, sections }: FrontPage): string {
  const width = Math.max(...sections.flatMap(({ entries }) => entries.map((entry) => entry.name.length)));
  const entryText = ({ name, href, meaning }: Entry) =>
    `  ${name.padEnd(width)}  ${href?.startsWith("https:") ? href : meaning}\n`;
  const exampleText = ({ intro, command }: Example) => `\n  ${intro}\n\n    ${command.replaceAll("\n", "\n    ")}\n`;
  const texts = sections.map(
    ({ title, entries, example }) =>
      `\n${title}\n${entries.map(entryText).join("")}${example ? exampleText(example) : ""}`,
  );
  return `${name}\n${purpose}\n\n${state.title}. ${state.meaning}\n${texts.join("")}`;
}
