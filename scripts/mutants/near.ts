/** Test files in the order of their distance from a file of src/, by imports. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/**
 * Returns all files of the first tier below `root`: those that import `path` directly come first, then by steps between. A test in the folder
 * that mirrors that of `path` is one step nearer, and the one that mirrors the file itself two. The last do not import it at all. What runs the
 * transcripts mirrors each command that has a page of them.
 */
export function nearestTests(root: string, path: string): string[] {
  const importers = importersOf(root);
  const distances = new Map([[path, 0]]);
  for (const [each, distance] of distances) {
    for (const importer of importers.get(each) ?? []) {
      if (!distances.has(importer)) distances.set(importer, distance + 1);
    }
  }
  const mirror = path.replace(/^src\//, "test/").replace(/\.\w+$/, ".test.ts");
  const tests = globSync("test/**/*.test.ts", { cwd: root }).filter((test) => !test.endsWith(".process.test.ts"));
  const page = `test/cli/transcripts/${posix.basename(path, ".ts")}.md`;
  const hasPage = posix.dirname(path) === "src/cli/commands" && existsSync(join(root, page));
  const rank = (test: string) => {
    if (hasPage && test === "test/cli/transcripts.test.ts") return 0;
    const distance = distances.get(test) ?? Number.MAX_SAFE_INTEGER;
    if (test === mirror) return distance - 2;
    return posix.dirname(test) === posix.dirname(mirror) ? distance - 1 : distance;
  };
  return tests.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Returns the importers of each file of src/ and test/. A path that is only text, such as that of a thread, counts too. */
function importersOf(root: string): Map<string, string[]> {
  const importers = new Map<string, string[]>();
  for (const file of globSync("{src,test}/**/*.{ts,js}", { cwd: root })) {
    for (const [, path] of readFileSync(join(root, file), "utf8").matchAll(/"(\.{1,2}\/[^"\n]+\.[jt]s)"/g)) {
      const imported = posix.join(posix.dirname(file), path!);
      importers.set(imported, [...(importers.get(imported) ?? []), file]);
    }
  }
  return importers;
}
