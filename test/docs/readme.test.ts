/** README is a first page: short, and as wide as a terminal. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const page = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
const most = { lines: 200, columns: 120 };

/** Returns a line for each line that is too wide, and one if there are too many. */
function problemsOf(text: string): string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const wide = lines.flatMap((line, at) => {
    const columns = [...line].length;
    return columns > most.columns ? [`line ${at + 1} has ${columns} columns`] : [];
  });
  return lines.length > most.lines ? [...wide, `it has ${lines.length} lines`] : wide;
}

it(`has at most ${most.lines} lines of at most ${most.columns} columns`, () => {
  expect(problemsOf(page)).toEqual([]);
});

it("is refused with a line more, or a column", () => {
  const full = `${"─".repeat(120)}\n`.repeat(200);
  expect(problemsOf(full)).toEqual([]);
  expect(problemsOf(`${full}more\n`)).toEqual(["it has 201 lines"]);
  expect(problemsOf(`first\n${"─".repeat(121)}\n`)).toEqual(["line 2 has 121 columns"]);
});
