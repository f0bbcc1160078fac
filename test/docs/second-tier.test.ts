/** The second tier's table in CONTRIBUTING.md, held against the files of tests. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { namesIn, rowsOf } from "./tables.ts";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
const suffix = ".process.test.ts";

/** Files without their endings, and folders with a slash, below test/. */
const named = rowsOf(page, "why it is in the second tier").flatMap(([, cell]) => namesIn(cell!));
const files = globSync(`**/*${suffix}`, { cwd: join(root, "test") }).map((file) => file.slice(0, -suffix.length));

const covers = (name: string, file: string) => (name.endsWith("/") ? file.startsWith(name) : file === name);

it("gives one reason for each file", () => {
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect([file, named.filter((name) => covers(name, file)).length]).toEqual([file, 1]);
});

it("names nothing that is gone", () => {
  expect(named.filter((name) => !files.some((file) => covers(name, file)))).toEqual([]);
});
