/**
 * Mutants that were written by hand, a file each in `by-hand/`: a sentence, then lines of a patch without a path. The patch applies wherever
 * src/ has its lines once, whatever their indentation, so that it survives a move. After an empty line another patch may follow for a tree
 * whose lines differ, such as an older commit; the first that applies is taken.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Change, lineOf, type Mutant, type Sources } from "./change.ts";

export interface Patch {
  name: string;
  /** Lines of each alternative, as they are found and as they become. */
  hunks: readonly { before: readonly string[]; after: readonly string[] }[];
}

const folder = join(import.meta.dirname, "by-hand");

export function readPatches(): Patch[] {
  const files = globSync("*.patch", { cwd: folder }).sort();
  return files.map((file) => parsePatch(basename(file, ".patch"), readFileSync(join(folder, file), "utf8")));
}

export function parsePatch(name: string, text: string): Patch {
  const [, ...lines] = text.trimEnd().split("\n");
  const hunks = lines
    .join("\n")
    .split(/\n\s*\n/)
    .map((hunk) => hunk.split("\n"));
  const wrong = lines.find((line) => /^[^ +-]/.test(line));
  if (wrong !== undefined) throw new Error(`mutant ${name}: begin the line with "-", "+" or a blank: ${wrong}`);
  const without = (hunk: readonly string[], sign: string) =>
    hunk.filter((line) => !line.startsWith(sign)).map((line) => line.slice(1));
  return { name, hunks: hunks.map((hunk) => ({ before: without(hunk, "+"), after: without(hunk, "-") })) };
}

/** Throws if no alternative fits exactly one place of src/. */
export function applyPatch({ name, hunks }: Patch, sources: Sources): Mutant {
  for (const { before, after } of hunks) {
    const places = [...sources].flatMap(([path, source]) => placesOf(before, path, source));
    const [place, ...others] = places.map(({ path, start, end }) => ({ path, start, end, text: after.join("\n") }));
    if (others.length > 0) {
      const where = places.map(({ path, start }) => `${path}:${lineOf(sources.get(path)!, start)}`);
      throw new Error(`mutant ${name} applies in more than one place, give it more lines: ${where.join(", ")}`);
    }
    if (place !== undefined) return { name, isByHand: true, ...place };
  }
  throw new Error(`mutant ${name} does not apply any more: no file of src/ has\n${hunks[0]!.before.join("\n")}`);
}

function placesOf(wanted: readonly string[], path: string, source: string): Omit<Change, "text">[] {
  const lines = source.split("\n");
  const trimmed = lines.map((line) => line.trim());
  const places = [];
  for (let at = trimmed.indexOf(wanted[0]!.trim()); at >= 0; at = trimmed.indexOf(wanted[0]!.trim(), at + 1)) {
    if (!wanted.every((line, offset) => trimmed[at + offset] === line.trim())) continue;
    const start = lines.slice(0, at).join("\n").length + Math.sign(at);
    const end = start + lines.slice(at, at + wanted.length).join("\n").length;
    places.push({ path, start, end });
  }
  return places;
}
