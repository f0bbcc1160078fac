/** docs/NOTICES.md against the table that it is made from. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { noticesPage } from "../../scripts/notices-page.ts";
import { noticeCodes } from "../../src/notices.ts";

/** Without the blanks and dashes that only align a table. */
const unaligned = (page: string) => page.replaceAll(/ {2,}/g, " ").replaceAll(/-{3,}/g, "---");

it("is what npm run notices-page makes", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "NOTICES.md"), "utf8");
  expect(unaligned(page)).toBe(unaligned(noticesPage()));
});

it("has words of capitals for codes, and a sentence for each", () => {
  for (const [code, { meaning }] of Object.entries(noticeCodes)) {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(meaning).toMatch(/^[A-Z].*\.$/);
  }
});
