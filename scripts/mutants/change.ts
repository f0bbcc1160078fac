/** A change of one file of src/ that makes a mutant, and how a reader sees it. */

export interface Change {
  /** Path from the root of the tree. */
  path: string;
  /** Range of the file's text that `text` replaces, in UTF-16 code units. */
  start: number;
  end: number;
  text: string;
}

export interface Mutant extends Change {
  name: string;
  isByHand: boolean;
}

/** Texts of the files of src/, by path from the root. */
export type Sources = ReadonlyMap<string, string>;

export function changed(source: string, { start, end, text }: Change): string {
  return source.slice(0, start) + text + source.slice(end);
}

/** Returns the whole lines before and after the change, as a hunk of a diff. */
export function hunkOf(source: string, { path, start, end, text }: Change): string {
  const from = source.lastIndexOf("\n", start - 1) + 1;
  const lineEnd = source.indexOf("\n", end);
  const to = lineEnd < 0 ? source.length : lineEnd;
  const before = source.slice(from, to).split("\n");
  const after = (source.slice(from, start) + text + source.slice(end, to)).split("\n");
  const mark = (sign: string, lines: readonly string[]) => lines.map((line) => `${sign}${line}`);
  return [`${path}:${lineOf(source, from)}`, ...mark("-", before), ...mark("+", after)].join("\n");
}

/** Returns the line of an offset, from 1. */
export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}
