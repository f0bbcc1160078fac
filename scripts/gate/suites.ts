/** The table of what the gate runs, `.ci/suites.yaml`, and what of it a change selects. */
import { readFileSync } from "node:fs";
import { matchesGlob } from "node:path";
import { parse } from "yaml";

export interface Suite {
  name: string;
  /** A command line without quotes. Selected words are appended to it. */
  run: string;
  /** True if it uses all cores by itself, so that nothing runs beside it. */
  alone: boolean;
  /** True if `run -- --install` installs what it needs. */
  installs: boolean;
  /** Globs of paths, of which one must have changed for the whole of it. Undefined if it always runs. */
  inputs: readonly string[] | undefined;
  /** Globs for each part that can be chosen by a word. */
  words: ReadonlyMap<string, readonly string[]>;
}

export interface Selected {
  suite: Suite;
  command: string;
  /** Paths that have changed, `always` or `noBase`. */
  why: string;
}

export interface Selection {
  selected: Selected[];
  left: Suite[];
}

/** Reasons to run that are no path. */
export const always = "always";
export const noBase = "no base";

interface Row {
  run: string;
  alone?: boolean;
  installs?: boolean;
  inputs?: string | string[];
  words?: Record<string, string | string[]>;
}

/**
 * Reads the table. Paths of `everything` are inputs of every suite that has inputs. One that has words alone runs by words alone, and nothing
 * of it without a base: its short form is another row.
 */
export function readSuites(file: string): Suite[] {
  const { everything, suites }: { everything: string[]; suites: Record<string, Row> } = parse(
    readFileSync(file, "utf8"),
  );
  return Object.entries(suites).map(([name, { run, alone = false, installs = false, inputs, words }]) => ({
    name,
    run,
    alone,
    installs,
    inputs: inputs === undefined ? words && [] : [...everything, ...[inputs].flat()],
    words: new Map(Object.entries(words ?? {}).map(([word, globs]) => [word, [globs].flat()])),
  }));
}

/** Selects by the paths that have changed; all suites, whole, if nobody knows them. */
export function select(suites: readonly Suite[], changed: readonly string[] | undefined): Selection {
  const selection: Selection = { selected: [], left: [] };
  for (const suite of suites) {
    const whole = whyWhole(suite, changed);
    const words = [...suite.words]
      .map(([word, globs]) => ({ word, why: changed && firstOf(changed, globs) }))
      .filter(({ why }) => why !== undefined);
    if (whole !== undefined) selection.selected.push({ suite, command: suite.run, why: whole });
    else if (words.length > 0) {
      const command = [suite.run, ...words.map(({ word }) => word)].join(" ");
      selection.selected.push({ suite, command, why: words.map(({ why }) => why).join(", ") });
    } else selection.left.push(suite);
  }
  return selection;
}

function whyWhole({ inputs }: Suite, changed: readonly string[] | undefined): string | undefined {
  if (inputs === undefined) return always;
  if (changed !== undefined) return firstOf(changed, inputs);
  return inputs.length > 0 ? noBase : undefined;
}

function firstOf(changed: readonly string[], globs: readonly string[]): string | undefined {
  return changed.find((path) => globs.some((glob) => matchesGlob(path, glob)));
}
