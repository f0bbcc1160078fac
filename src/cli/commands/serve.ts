/** `serve`: the service, until SIGTERM or SIGINT. The first signal drains, a second one ends the process at once. */
import { isatty } from "node:tty";
import { realTime } from "../../runtime/time.ts";
import { isUnderNpm } from "../../config/launch.ts";
import type { Config } from "../../config/config.ts";
import { type Command, type ExitCode, exitCode, jsonOption } from "../command.ts";
import { configFrom, configOption } from "../configuration.ts";
import { printError, printLine } from "../print.ts";
import { settingMeant } from "../setting-options.ts";
import { bad } from "../styled.ts";
import { thingsToTry } from "../things-to-try.ts";
import { version } from "../../version.ts";
import type { RunningServer } from "../../server.ts";
import { startFailure } from "../failures.ts";
import { startReloads } from "../reloads.ts";

export const serve: Command = {
  name: "serve",
  summary: "Runs the service.",
  options: [
    configOption,
    {
      ...jsonOption,
      description: "print configuration problems as JSON; the log is JSON where standard output is no terminal",
    },
  ],
  details: [
    "Settings come from the environment, then from the file, then from defaults; application.properties.example lists them.",
    "SIGTERM and SIGINT let running calls end within fluo.kms.shutdown.grace; a second signal ends at once (under npm, which doubles some,",
    "the third). SIGHUP reads the policy, certificates and the provider keys of tenants anew, and nothing else. A change of their files does",
    "the same.",
  ],
  meant: settingMeant,
  async run(options) {
    const isSeen = isatty(1) && options.json !== true;
    if (isSeen) printLine(`starting fluo-kms ${version} …`);
    const { policyProblems } = await import("../policy/file.ts");
    const config = configFrom(options, policyProblems);
    if (config === undefined) return exitCode.usage;
    // Exits by itself: a server that failed half-way, or a socket that lingers, would keep the process alive.
    process.exit(await serveUntilSignal(config, { isSeen, readAnew: () => configFrom(options) }));
  },
};

interface Serving {
  /** Whether somebody looks on at a terminal. */
  isSeen: boolean;
  readAnew(): Config | undefined;
}

async function serveUntilSignal(config: Config, { isSeen, readAnew }: Serving): Promise<ExitCode> {
  // Before the start, so that a signal during it is not lost and does not cut it off half-way.
  const running = Promise.withResolvers<RunningServer>();
  const signalled = signalToEnd(isUnderNpm() ? 3 : 2, isSeen);
  const reloads = startReloads(config, { running: running.promise, readAnew, time: realTime });
  process.on("SIGHUP", reloads.all);
  try {
    const { startServer } = await import("../../server.ts");
    const server = await startServer(config);
    running.resolve(server);
    if (isSeen) await showThingsToTry(config, server);
    await signalled;
    reloads.close();
    await server.stop();
    return exitCode.ok;
  } catch (error) {
    printError(bad("fluo-kms", `: ${startFailure(error, config)}`));
    return exitCode.failed;
  }
}

async function showThingsToTry(config: Config, server: RunningServer): Promise<void> {
  await server.logged();
  for (const line of thingsToTry(config, server)) printLine(line);
}

/** Resolves at the first signal; at the one of this number the process ends. */
function signalToEnd(last: number, isSeen: boolean): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = () => {
      count += 1;
      if (isSeen) printLine(""); // the terminal has shown ^C
      if (count >= last) process.exit(exitCode.failed);
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, onSignal);
  });
}
