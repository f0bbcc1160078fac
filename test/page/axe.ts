/** What axe-core finds on a page. */
import { readFileSync } from "node:fs";
import { type Page, packagesOf } from "../support/chromium.ts";

export interface Finding {
  id: string;
  nodes: { html: string }[];
}

const axe = readFileSync(packagesOf("page").resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core calls wrong, and what it cannot decide. The page's policy lets no script run, except by the browser's own protocol. */
export async function findingsIn(page: Page): Promise<Finding[]> {
  await page.evaluate(`${axe}; undefined`);
  const { violations, incomplete } = await page.evaluate<{ violations: Finding[]; incomplete: Finding[] }>("axe.run()");
  return [...violations, ...incomplete].map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => ({ html })) }));
}
