/** What the tests of pages read from a table, and what they find wrong. */
import { expect, it } from "vitest";
import { differences, namesIn, rowsOf } from "./tables.ts";

const page = [
  "# Title\n\ntext with a | in it\n",
  "| name | what |\n| ---- | ---- |\n| `a`, `b` | either `x \\| y` |\n|`c`| |\n",
  "| other | what |\n| ----- | ---- |\n| `d` | no |\n",
].join("\n");

it("reads the rows of the tables with one title, and the names in a cell", () => {
  expect(rowsOf(page, "name")).toEqual([
    ["`a`, `b`", "either `x | y`"],
    ["`c`", ""],
  ]);
  expect(rowsOf(page, "other")).toEqual([["`d`", "no"]]);
  expect(namesIn("`a`, or `b.c`")).toEqual(["a", "b.c"]);
});

it("reads none of a table with another title", () => {
  expect(rowsOf(page, "what")).toEqual([]);
  expect(namesIn("a")).toEqual([]);
});

it("finds no difference between the same facts in another order", () => {
  const facts = [
    ["a", "1"],
    ["b", "2"],
  ] as const;
  expect(differences(facts, facts.toReversed())).toEqual([]);
});

it("names what is missing on either side, differs or is there twice", () => {
  const stated = [
    ["a", "1"],
    ["a", "1"],
    ["b", "2"],
    ["gone", ""],
  ] as const;
  const actual = [
    ["a", "1"],
    ["b", "3"],
    ["new", ""],
  ] as const;
  expect(differences(stated, actual)).toEqual([
    "a: twice on the page",
    "gone: on the page, not in the code",
    'b: "2" on the page, "3" in the code',
    "new: in the code, not on the page",
  ]);
});
