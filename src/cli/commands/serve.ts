/** `serve`: the service, until SIGTERM or SIGINT. The first signal drains, a second one ends the process at once. */
import { realTime } from "../../runtime/time.ts";
import { isDeepStrictEqual } from "node:util";
import { isUnderNpm } from "../../config/launch.ts";
import type { Config } from "../../config/config.ts";
import { type Command, type ExitCode, exitCode, jsonOption } from "../command.ts";
import { configFrom, configOption } from "../configuration.ts";
import { oneLine } from "../print.ts";
import { watchFiles } from "../../runtime/watch-files.ts";
import type { RunningServer } from "../../server.ts";
import { startFailure } from "../failures.ts";

export const serve: Command = {
  name: "serve",
  summary: "Runs the service.",
  options: [
    configOption,
    { ...jsonOption, description: "print configuration problems as JSON; the log is JSON in any case" },
  ],
  details: [
    "Settings come from the environment, then from the file, then from defaults; application.properties.example lists them.",
    "SIGTERM and SIGINT let running calls end within fluo.kms.shutdown.grace; a second signal ends at once (under npm, which doubles some,",
    "the third). SIGHUP reads the policy, certificates and the provider keys of tenants anew, and nothing else. A change of their files does",
    "the same.",
  ],
  async run(options) {
    const { policyProblems } = await import("../policy/policy-file.ts");
    const config = configFrom(options, policyProblems);
    if (config === undefined) return exitCode.usage;
    // Exits by itself: a server that failed half-way, or a socket that lingers, would keep the process alive.
    process.exit(await serveUntilSignal(config, () => configFrom(options)));
  },
};

async function serveUntilSignal(config: Config, readAnew: () => Config | undefined): Promise<ExitCode> {
  // Before the start, so that a signal during it is not lost and does not cut it off half-way.
  const running = Promise.withResolvers<RunningServer>();
  const signalled = signalToEnd(isUnderNpm() ? 3 : 2);
  const reloads = createReloads(config, { running: running.promise, readAnew });
  process.on("SIGHUP", reloads.all);
  const watched = watchFiles({ paths: reloads.paths, changed: reloads.tenants, time: realTime });
  try {
    const { startServer } = await import("../../server.ts");
    const server = await startServer(config);
    running.resolve(server);
    await signalled;
    watched.close();
    await server.stop();
    return exitCode.ok;
  } catch (error) {
    console.error(`fluo-kms: ${oneLine(startFailure(error, config))}`);
    return exitCode.failed;
  }
}

interface ReloadParts {
  running: Promise<RunningServer>;
  readAnew(): Config | undefined;
}

/** What is read anew while the service runs. A start that is not over is waited for. */
function createReloads(config: Config, { running, readAnew }: ReloadParts) {
  let current = config;

  /** Undefined, once told, if the configuration has problems. */
  function nextConfig(server: RunningServer): Config | undefined {
    const next = readAnew();
    server.configurationRefused(next === undefined);
    if (next === undefined) console.error("fluo-kms: the configuration has problems, so the former one holds");
    return next;
  }

  async function all(): Promise<void> {
    const server = await running;
    // Files and settings go by themselves: neither waits for what is wrong with the other, or with a setting.
    const hasFiles = config.policyFile !== undefined || config.tls !== undefined;
    if (hasFiles) await server.reloadFiles();
    const next = nextConfig(server);
    if (next === undefined) return;
    const hasKeys = current.hasTenantProviderKeys || next.hasTenantProviderKeys;
    if (!hasKeys && !hasFiles) return console.error(nothingToRead);
    if (hasKeys) await server.replaceTenantProviderKeys(next);
    current = next;
  }

  /** The file of tenants is another one. A signal may have had it read already. */
  async function tenants(): Promise<void> {
    const server = await running;
    const next = nextConfig(server);
    if (next === undefined || isDeepStrictEqual(next.tenantProviderKeys, current.tenantProviderKeys)) return;
    await server.replaceTenantProviderKeys(next);
    current = next;
  }

  async function refuse(): Promise<void> {
    console.error("fluo-kms: the configuration cannot be read, so the former one holds");
    (await running).configurationRefused(true);
  }

  return {
    all: () => void all().catch(refuse),
    tenants: () => void tenants().catch(refuse),
    paths: () => (current.tenantsFile === undefined ? [] : [current.tenantsFile]),
  };
}

const nothingToRead =
  "fluo-kms: SIGHUP reads the policy, certificates and provider keys of tenants anew, and the configuration has none, so nothing changes";

/** Resolves at the first signal; at the one of this number the process ends. */
function signalToEnd(last: number): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = () => {
      count += 1;
      if (count >= last) process.exit(exitCode.failed);
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, onSignal);
  });
}
