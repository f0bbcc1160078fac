/** A suite of files that need what npm does not bring: it is installed first, and what cannot be had is said loudly. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isShortRun, takeShort } from "../../test/support/short-option.ts";
import { usePackageCaches } from "./cache.ts";
import { isThere } from "./command.ts";
import { isRequired, notRun } from "./not-run.ts";

export interface Need {
  name: string;
  /** Throws, with what is missing, where it cannot be had. */
  install(): Promise<void> | void;
}

/** Files of a suite by their names, or by their paths from the root, and what each needs. Those that wait for long come first. */
export type Specs = Readonly<Record<string, readonly Need[]>>;

const root = join(import.meta.dirname, "..", "..");

/**
 * Runs those `NAME.spec.ts` of `test/FOLDER` whose name has one of `words`, or all. A file that needs something that is not there is not run;
 * if that is a failure, nothing is run at all. `--install` installs and runs nothing. `--short` leaves out the files in `long`, unless they are
 * named, and the cases that a file itself leaves out. Further options are Vitest's. Returns the exit code; the last line that is printed is `N passed, N failed`.
 */
export async function runSpecs(
  folder: string,
  specs: Specs,
  words: readonly string[],
  long: readonly string[] = [],
): Promise<number> {
  usePackageCaches();
  const others = takeShort(words);
  const [asked, options] = [others.filter(isSpec), others.filter((word) => !isSpec(word))];
  const named = Object.keys(specs).filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  if (named.length === 0) {
    process.stderr.write(`none is called so; there are ${Object.keys(specs).join(", ")}\n`);
    return summary(1);
  }
  const isAll = asked.length === 0 && !options.includes("--install");
  const chosen = isAll ? withoutLong(named, long) : named;
  const missing = await install([...new Set(chosen.flatMap((spec) => specs[spec]!))]);
  const lacking = (spec: string) => specs[spec]!.filter((need) => missing.has(need));
  const without = chosen.filter((spec) => lacking(spec).length > 0);
  for (const spec of without) {
    notRun(
      `${folder}/${spec}`,
      lacking(spec)
        .map((need) => `no ${need.name}: ${missing.get(need)}`)
        .join("; "),
    );
  }
  if (options.includes("--install")) return missing.size === 0 ? 0 : 1;
  const possible = chosen.filter((spec) => !without.includes(spec));
  if (isRequired() && without.length > 0) return summary(without.length);
  if (possible.length === 0) return summary(0);
  const files = possible.map((spec) => (spec.includes("/") ? spec : `test/${folder}/${spec}.spec.ts`));
  // Vitest runs the others, and says nothing of one that is not there.
  const absent = files.filter((file) => !existsSync(join(root, file)));
  if (absent.length > 0) throw new Error(`there is no ${absent.join(", ")}`);
  const config = join("test", folder, "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...files, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

/** Returns the specs that are not long if this is a short form, and says which it leaves out. */
function withoutLong(specs: readonly string[], long: readonly string[]): readonly string[] {
  if (!isShortRun()) return specs;
  const left = specs.filter((spec) => long.includes(spec));
  if (left.length > 0) process.stdout.write(`SHORT: files that are left out: ${left.join(", ")}\n`);
  return specs.filter((spec) => !long.includes(spec));
}

/** Returns those that cannot be had, and why. */
async function install(needs: readonly Need[]): Promise<Map<Need, string>> {
  const missing = new Map<Need, string>();
  for (const each of needs) {
    try {
      await each.install();
    } catch (error) {
      missing.set(each, (error as Error).message);
    }
  }
  return missing;
}

/** Throws unless the command works. */
export function need(command: string, args?: readonly string[], env?: NodeJS.ProcessEnv): void {
  if (!isThere(command, args, env)) throw new Error(`${[command, ...(args ?? [])].join(" ")} does not work`);
}

function isSpec(word: string): boolean {
  return !word.startsWith("-");
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
