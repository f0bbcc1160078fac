/**
 * `npm run local-kms`: an AWS KMS to practise with, on this machine alone and without an account. It is local-kms, built with Go when it is
 * first wanted. Whoever reaches it may do everything: no policy is looked at. Keys stay in data/, a folder a region.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { tools } from "./tools/cache.ts";
import { isThere } from "./tools/command.ts";
import { installLocalKms } from "./tools/local-kms.ts";

const usage = "npm run local-kms -- [--region eu-central-1] [--port 4599] [--seed FILE.yaml]";
/** As the documentation of AWS has it. */
const account = "111122223333";

process.exitCode = await main();

async function main(): Promise<number> {
  const options = optionsIn(process.argv.slice(2));
  if (options === undefined) return 2;
  if (!isThere("go", ["version"])) {
    console.error("local-kms is built with Go, which is not on the PATH: see https://go.dev/dl");
    return 1;
  }
  await installLocalKms(console.log);
  const { region, port, seed } = options;
  const data = resolve("data", `local-kms-${region}`);
  await mkdir(data, { recursive: true });
  const child = spawn(join(tools, "bin", "local-kms"), {
    env: {
      PORT: port,
      KMS_REGION: region,
      KMS_ACCOUNT_ID: account,
      KMS_DATA_PATH: data,
      ...(seed && { KMS_SEED_PATH: resolve(seed) }),
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text) => {
    said = `${said}${text}`.slice(-2_000);
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  const exit = once(child, "exit");
  const url = `http://localhost:${port}`;
  while (child.exitCode === null && !(await answers(url))) await pause(50);
  if (child.exitCode === null) console.log(`local-kms: region ${region}, account ${account}, at ${url}`);
  const [code, signal] = await exit;
  if (signal === null && code !== 0) console.error(said);
  return signal === null ? code : 0;
}

function optionsIn(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        region: { type: "string", default: "eu-central-1" },
        port: { type: "string", default: "4599" },
        seed: { type: "string" },
      },
    });
    return values;
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return undefined;
  }
}

/** It knows no GET. */
async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ status }) => status === 405,
    () => false,
  );
}
