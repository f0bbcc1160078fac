/** `serve`: the service, until SIGTERM or SIGINT. The first signal drains, a second one ends the process at once. */
import type { Config } from "../config.ts";
import { type Command, type ExitCode, exitCode, jsonOption } from "./command.ts";
import { configFrom, configOption } from "./configuration.ts";
import { oneLine } from "./print.ts";
import { startFailure } from "./start-failure.ts";

export const serve: Command = {
  name: "serve",
  summary: "Runs the service.",
  options: [
    configOption,
    { ...jsonOption, description: "print configuration problems as JSON; the log is JSON in any case" },
  ],
  details: [
    "Settings come from the environment, then from the file, then from defaults; application.properties.example lists them.",
    "SIGTERM and SIGINT let running calls end within fluo.kms.shutdown.grace; a second signal ends at once.",
  ],
  async run(options) {
    const config = configFrom(options);
    if (config === undefined) return exitCode.usage;
    // Exits by itself: a server that failed half-way, or a socket that lingers, would keep the process alive.
    process.exit(await serveUntilSignal(config));
  },
};

async function serveUntilSignal(config: Config): Promise<ExitCode> {
  // Before the start, so that a signal during it is not lost and does not cut it off half-way.
  const signalled = firstSignal();
  try {
    const { startServer } = await import("../server.ts");
    const server = await startServer(config);
    await signalled;
    await server.stop();
    return exitCode.ok;
  } catch (error) {
    console.error(`fluo-kms: ${oneLine(startFailure(error, config))}`);
    return exitCode.failed;
  }
}

function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = () => {
      signals += 1;
      if (signals === 1) resolve();
      else process.exit(exitCode.failed);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
