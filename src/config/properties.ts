/**
 * application.properties: `name=value` lines, a name with `%profile.` in front counting in that profile alone, and there before the
 * plain one. Of a name given twice the last counts, as in Java.
 */
import { readFileSync } from "node:fs";
import { type Pair, parseLines } from "dot-properties";
import { suggestion } from "../encoding/nearest.ts";
import type { Problem } from "./problem.ts";
import { prefixes, settingNames } from "./known-settings.ts";

const knownNames: readonly string[] = settingNames;

export interface Properties {
  /** As the file is called in problems. */
  file: string;
  /** By name as written, the profile included. */
  entries: ReadonlyMap<string, string>;
  /** The lines of each name, in order. */
  lines: ReadonlyMap<string, readonly number[]>;
  /** Spells a problem with one of these settings as its file does, if that has other names for them. */
  inOwnWords?(problem: Problem): Problem;
}

const profiled = /^%([^.]*)\.(.*)$/;

/** Undefined for a file that need not exist and does not. */
export function readProperties(file: string, optional: boolean): Properties | Problem | undefined {
  const text = readText(file, optional);
  if (typeof text !== "string") return text;
  const pairs = parseLines(text, true).filter(({ type }) => type === "PAIR") as Required<Pair>[];
  return { file, entries: new Map(pairs.map(({ key, value }) => [key, value])), lines: linesOf(text, pairs) };
}

/** The text of a file of settings. Undefined for a file that need not exist and does not. */
export function readText(file: string, optional: boolean): string | Problem | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (optional && code === "ENOENT") return undefined;
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
      return { name: file, description: "is not UTF-8; save it as UTF-8" };
    return { name: file, description: `cannot be read (${code}); give the path of a readable file` };
  }
}

function linesOf(text: string, pairs: readonly Required<Pair>[]): Properties["lines"] {
  const lines = new Map<string, number[]>();
  let [line, at] = [1, 0];
  for (const { key, range } of pairs) {
    line += text.slice(at, range[0]).split(/\r\n|\r|\n/).length - 1;
    at = range[0];
    lines.set(key, [...(lines.get(key) ?? []), line]);
  }
  return lines;
}

/** The value of `name` in `profile`, and the name it is written under. */
export function propertyOf(
  { entries }: Properties,
  name: string,
  profile: string,
): { text: string; as: string } | undefined {
  for (const as of [`%${profile}.${name}`, name]) {
    const text = entries.get(as);
    if (text !== undefined) return { text: text.trim(), as };
  }
  return undefined;
}

/** Every name that counts in `profile`, with its value. */
export function* namesIn(properties: Properties, profile: string): Iterable<{ name: string; text: string }> {
  const names = [...properties.entries.keys()].flatMap((as) => {
    const [, itsProfile, name] = profiled.exec(as) ?? [undefined, profile, as];
    return itsProfile === profile ? [name!] : [];
  });
  for (const name of new Set(names)) yield { name, text: propertyOf(properties, name, profile)!.text };
}

/** Names that mean nothing: under our prefixes, in any profile. `isKnown` knows of those that are made of names an operator gives. */
export function unknownProperties({ file, entries }: Properties, isKnown: (name: string) => boolean): Problem[] {
  const problems: Problem[] = [];
  for (const as of entries.keys()) {
    const [, profile, name = ""] = profiled.exec(as) ?? [undefined, undefined, as];
    if (!prefixes.some((start) => name.startsWith(start))) continue;
    if (profile !== undefined && name === "fluo.kms.profile") {
      problems.push({ name: `${as} (${file})`, description: "cannot depend on a profile; write it without one" });
    } else if (!knownNames.includes(name) && !isKnown(name)) {
      problems.push({ name: `${as} (${file})`, description: `is unknown${hint(name)}` });
    }
  }
  return problems;
}

/** Settings that a file gives more than once. */
export function repeatedProperties({ file, lines }: Properties): Problem[] {
  return [...lines]
    .filter(([as, at]) => at.length > 1 && prefixes.some((start) => as.replace(/^%[^.]*\./, "").startsWith(start)))
    .map(([as, at]) => ({
      name: `${as} (${file})`,
      description: `stands in lines ${at.slice(0, -1).join(", ")} and ${at.at(-1)}; the last one counts`,
    }));
}

function hint(name: string): string {
  return suggestion(name, knownNames) || "; application.properties.example lists every name";
}
