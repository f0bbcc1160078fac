/** What a test covers, as far as its imports and its place tell. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

/**
 * True if the test's file, a file of test/ that it imports, directly or not, a file of src/ that one of these imports, or the folder of src/ of
 * which it has the name is among `changed`. Paths are relative to `root`.
 */
export function isInChange(root: string, file: string, changed: readonly string[]): boolean {
  const paths = new Set(importsOf(root, relative(root, file).split(sep).join("/")));
  const folder = `${dirname(relative(root, file)).replace(/^test\b/, "src")}/`;
  return changed.some((path) => paths.has(path) || (folder !== "src/" && path.startsWith(folder)));
}

/** The file and what it imports; imports of files outside of test/ are not followed. */
function importsOf(root: string, file: string, known = new Set<string>()): Set<string> {
  if (known.has(file)) return known;
  known.add(file);
  if (!file.startsWith("test/") || !existsSync(join(root, file))) return known;
  for (const [, path] of readFileSync(join(root, file), "utf8").matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)) {
    importsOf(root, join(dirname(file), path!).split(sep).join("/"), known);
  }
  return known;
}
