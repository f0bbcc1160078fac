/**
 * Two releases to come, made of this one's sources. The next one adds a table, a column and a reader of the rows' second form; the one after writes
 * that form, and another column. Each has the version behind it as its oldest.
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstRollingSchema, newestSchema } from "../../src/store/sql/rows/schema.ts";

const root = join(import.meta.dirname, "..", "..");
const schema = "src/store/sql/rows/schema.ts";
const forms = "src/store/sql/rows/forms.ts";

/** Makes the sources of both below `dir`, and gives where they are. */
export function makeLaterReleases(dir: string): { next: string; after: string } {
  const [next, after] = [join(dir, "next"), join(dir, "after")];
  copySources(root, next);
  setVersion(next, "next");
  addStep(next, "next", "destroy_wait");
  replace(next, forms, "const first: RowForms = { written: 1, read: [1] };", readsTwo(1, 2));
  copySources(next, after);
  setVersion(after, "after");
  addStep(after, "after", "next_note");
  replace(after, forms, readsTwo(1, 2), readsTwo(2, 1));
  replace(
    after,
    schema,
    `export const oldestSchema = ${firstRollingSchema};`,
    `export const oldestSchema = ${newestSchema + 1};`,
  );
  return { next, after };
}

/** The trail's rows keep the form that they have. */
function readsTwo(written: number, other: number): string {
  return `const first: RowForms = { written: ${written}, read: [${written}, ${other}] };`;
}

function copySources(from: string, to: string): void {
  for (const each of ["src", "gen", "package.json"]) cpSync(join(from, each), join(to, each), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"));
}

function setVersion(dir: string, release: string): void {
  const file = join(dir, "package.json");
  const { version, ...others } = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...others, version: `${version.split("-")[0]}-${release}` }));
}

/** `behind` is the last column that keys got so far. */
function addStep(dir: string, release: string, behind: string): void {
  const step = `  ({ text, integer, tableEnd }) => [
    \`create table kms_${release} (id \${integer} primary key, note \${text})\${tableEnd}\`,
    \`alter table kms_keys add column ${release}_note \${text}\`,
  ],
];
`;
  const file = join(dir, schema);
  const text = readFileSync(file, "utf8");
  const end = text.indexOf("\n];\n", text.indexOf("export const migrations"));
  writeFileSync(file, `${text.slice(0, end + 1)}${step}${text.slice(end + 4)}`);
  replace(dir, schema, `    "${behind}",\n  ],`, `    "${behind}",\n    "${release}_note",\n  ],`);
}

function replace(dir: string, path: string, what: string, by: string): void {
  const file = join(dir, path);
  const text = readFileSync(file, "utf8");
  if (text.split(what).length !== 2) throw new Error(`${path} has not once: ${what}`);
  writeFileSync(file, text.replace(what, by));
}
