/** A suite of files that need what npm does not bring: it is installed first, and what cannot be had is said loudly. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { isThere } from "./debian.ts";

export interface Need {
  name: string;
  /** Throws, with what is missing, where it cannot be had. */
  install(): Promise<void> | void;
}

/** Files of a suite by their names, and what each needs. Those that wait for long come first. */
export type Specs = Readonly<Record<string, readonly Need[]>>;

const root = join(import.meta.dirname, "..", "..");
const isCi = process.env.CI === "true";

/**
 * Runs those `NAME.spec.ts` of `test/FOLDER` whose name has one of `words`, or all. A file that needs something that is not there is skipped;
 * with CI=true nothing is run then, and it is a failure. `--install` installs and runs nothing; further options are Vitest's. Gives the
 * exit code; the last line that is printed is `N passed, N failed`.
 */
export async function runSpecs(folder: string, specs: Specs, words: readonly string[]): Promise<number> {
  const [asked, options] = [words.filter(isSpec), words.filter((word) => !isSpec(word))];
  const chosen = Object.keys(specs).filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  if (chosen.length === 0) {
    process.stderr.write(`none is called so; there are ${Object.keys(specs).join(", ")}\n`);
    return summary(1);
  }
  const missing = await install(specs, [...new Set(chosen.flatMap((spec) => specs[spec]!))]);
  if (options.includes("--install")) return missing.size === 0 ? 0 : 1;
  if (isCi && missing.size > 0) return summary(missing.size);
  const possible = chosen.filter((spec) => !specs[spec]!.some((need) => missing.has(need)));
  if (possible.length === 0) return summary(0);
  const files = possible.map((spec) => `test/${folder}/${spec}.spec.ts`);
  const config = join("test", folder, "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...files, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

/** Gives those that cannot be had. */
async function install(specs: Specs, needs: readonly Need[]): Promise<Set<Need>> {
  const missing = new Set<Need>();
  for (const each of needs) {
    try {
      await each.install();
    } catch (error) {
      missing.add(each);
      const affected = Object.keys(specs).filter((spec) => specs[spec]!.includes(each));
      const what = isCi ? "FAILED" : `SKIPPED: ${affected.join(", ")}`;
      process.stderr.write(`${what}: there is no way to have ${each.name} here: ${(error as Error).message}\n`);
    }
  }
  return missing;
}

/** Throws unless the command works. */
export function need(command: string, args?: readonly string[]): void {
  if (!isThere(command, args)) throw new Error(`${[command, ...(args ?? [])].join(" ")} does not work`);
}

function isSpec(word: string): boolean {
  return !word.startsWith("-");
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
