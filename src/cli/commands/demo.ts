/** `demo`: what the service is for, shown in this process and checked on the way. Nothing is read, written or left behind. */
import { randomUUID } from "node:crypto";
import { realTime } from "../../runtime/time.ts";
import { loadConfig } from "../../config/load.ts";
import { type Command, exitCode } from "../command.ts";
import { tellStory } from "../demo/story.ts";
import { printLine, printText } from "../print.ts";
import { noCredentials } from "../access/credentials.ts";
import { addressAt } from "../sign/span-stream.ts";

export const demo: Command = {
  name: "demo",
  summary: "Shows what it is for, in memory: signs spans, finds a changed and a missing one, encrypts a value.",
  options: [],
  details: [
    "Runs a service in this process, on free ports of 127.0.0.1, without any configuration, and does with it what the commands that it prints do",
    "with yours. Fails if anything does not go as it must.",
    "",
  ],
  async run() {
    const startedAt = realTime.monotonicMs();
    printLine("A key service in this process, in memory. The commands do the same with yours, once `npm start` runs.");
    const { startServer } = await import("../../server.ts");
    // All the settings there are: not those of the environment, nor of a file where the command runs.
    const server = await startServer(loadConfig({ env: settings, cwd: import.meta.dirname }));
    try {
      const address = addressAt(`127.0.0.1:${server.grpcPort}`);
      await tellStory({
        signing: { address, credentials: noCredentials, run: randomUUID() },
        url: `http://127.0.0.1:${server.httpPort}`,
      });
    } finally {
      await server.stop();
    }
    printText(
      `\nAll went as it must, in ${((realTime.monotonicMs() - startedAt) / 1000).toFixed(1)} s. Nothing is left behind.`,
    );
    return exitCode.ok;
  },
};

const settings = {
  FLUO_KMS_PROVIDER: "local",
  FLUO_KMS_STORE: "memory",
  FLUO_KMS_GRPC_PORT: "0",
  FLUO_KMS_HTTP_PORT: "0",
  FLUO_KMS_LOG_LEVEL: "silent",
};
