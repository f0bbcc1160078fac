/**
 * application.properties: `name=value` lines, a name with `%profile.` in front counting in that profile alone, and there before the
 * plain one. Of a name given twice the last counts, as in Java.
 */
import { readFileSync } from "node:fs";
import { parseLines } from "dot-properties";
import { suggestion } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { prefixes, settingNames } from "./settings.ts";

const knownNames: readonly string[] = settingNames;

export interface Properties {
  /** As the file is called in problems. */
  file: string;
  /** By name as written, the profile included. */
  entries: ReadonlyMap<string, string>;
}

const profiled = /^%([^.]*)\.(.*)$/;

/** Undefined for a file that need not exist and does not. */
export function readProperties(file: string, optional: boolean): Properties | Problem | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (optional && code === "ENOENT") return undefined;
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA")
      return { name: file, description: "is not UTF-8; save it as UTF-8" };
    return { name: file, description: `cannot be read (${code}); give the path of a readable file` };
  }
  return { file, entries: new Map(parseLines(text).filter((line) => Array.isArray(line)) as [string, string][]) };
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

/** Names that mean nothing: under our prefixes, in any profile. */
export function unknownProperties({ file, entries }: Properties): Problem[] {
  const problems: Problem[] = [];
  for (const as of entries.keys()) {
    const [, profile, name = ""] = profiled.exec(as) ?? [undefined, undefined, as];
    const prefix = prefixes.find((start) => name.startsWith(start));
    if (prefix === undefined) continue;
    if (profile !== undefined && name === "fluo.kms.profile") {
      problems.push({ name: `${as} (${file})`, description: "cannot depend on a profile; write it without one" });
    } else if (!knownNames.includes(name)) {
      problems.push({ name: `${as} (${file})`, description: `is unknown${hint(name, prefix)}` });
    }
  }
  return problems;
}

function hint(name: string, prefix: string): string {
  const served = knownNames.some((known) => known.startsWith(prefix));
  if (!served) return `; this version has no settings under ${prefix}`;
  return suggestion(name, knownNames) || "; application.properties.example lists every name";
}
