/** docs/DEPENDENCIES.md against package.json: every dependency has a row under its heading, and every row a dependency. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { differences, type Fact, namesIn, rowsOf } from "./tables.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "DEPENDENCIES.md"), "utf8");

const headings = {
  "At run time": packageJson.dependencies,
  Node: packageJson.optionalDependencies,
  "For development": packageJson.devDependencies,
};

function problemsOf(text: string): string[] {
  const stated = text.split(/^## /m).flatMap((section) => {
    const heading = section.slice(0, section.indexOf("\n"));
    return rowsOf(section, "package").map(([name]): Fact => [namesIn(name!)[0]!, heading]);
  });
  const actual = Object.entries(headings).flatMap(([heading, versions]) =>
    Object.keys(versions).map((name): Fact => [name, heading]),
  );
  return differences(stated, actual);
}

it("gives a reason for every dependency, and for no other", () => {
  expect(problemsOf(page)).toEqual([]);
  const rows = rowsOf(page, "package");
  expect(rows.filter(([, reason]) => reason === "")).toEqual([]);
});

it("is refused without one of its rows", () => {
  const rows = page.match(/^\| `.*\n/gm)!;
  expect(rows.length).toBeGreaterThan(40);
  for (const row of rows) expect(problemsOf(page.replace(row, ""))).toHaveLength(1);
});

it("is refused with a package that is no dependency, or is one of another kind", () => {
  expect(problemsOf(page.replace("`croner`", "`cron`"))).toEqual([
    "cron: on the page, not in the code",
    "croner: in the code, not on the page",
  ]);
  expect(problemsOf(page.replace("## For development", "## At run time"))).not.toEqual([]);
});

it("is right that versions are exact", () => {
  const versions = Object.values(headings).flatMap((each) => Object.values(each));
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
});
