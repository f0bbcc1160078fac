/** One bit of a store's files is not what it was, and the service is started on it. */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../src/cli/run.ts";
import { KmsError } from "../../src/errors.ts";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { startService } from "../support/running-service.ts";
import type { FilledStore } from "./filled-stores.ts";
import { type Known, look } from "./known.ts";

export interface Flip {
  store: FilledStore;
  end: "" | "-wal";
  byte: number;
  bit: number;
}

export type Outcome =
  | "refused at the start"
  | "told by calls, and found"
  | "told by calls alone"
  | "found, with nothing lost"
  | "nothing to find"
  | "FAILED";

export interface Judged {
  outcome: Outcome;
  /** What went wrong. */
  problems: string[];
}

/** `folder` is made, and removed. */
export async function judgeFlip(
  flip: Flip | { store: FilledStore },
  known: readonly Known[],
  folder: string,
): Promise<Judged> {
  cpSync(flip.store.folder, folder, { recursive: true });
  try {
    if ("byte" in flip) writeFlipped(flip, join(folder, "kms.db"));
    return await judge(known, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeFlipped({ store, end, byte, bit }: Flip, file: string): void {
  const bytes = Buffer.from(end === "" ? store.database : store.log);
  bytes[byte]! ^= 1 << bit;
  writeFileSync(file + end, bytes);
}

async function judge(known: readonly Known[], folder: string): Promise<Judged> {
  const settings = {
    "fluo.kms.local.master-key-file": join(folder, "master.key"),
    "fluo.kms.sqlite.file": join(folder, "kms.db"),
    "kms.rotation.enabled": "false",
  };
  const service = await startService(settings).catch((error: unknown) => error);
  if (!isRunning(service)) {
    if (service instanceof KmsError) return { outcome: "refused at the start", problems: [] };
    return { outcome: "FAILED", problems: [`the start: ${service}`] };
  }
  let looked: Awaited<ReturnType<typeof look>>;
  let health: Health;
  try {
    looked = await look(service.grpc, known);
    health = (await service.grpc.status({})).status;
  } finally {
    await service.stop();
  }
  const found = await findsAny(folder, settings);
  const { losses, wrongs } = looked;
  if (wrongs.length > 0) return { outcome: "FAILED", problems: wrongs };
  if (losses.length === 0) return { outcome: found ? "found, with nothing lost" : "nothing to find", problems: [] };
  if (found) return { outcome: "told by calls, and found", problems: [] };
  if (health !== Health.OPERATIONAL) return { outcome: "told by calls alone", problems: [] };
  return {
    outcome: "FAILED",
    problems: [...losses, "and the service is operational, and no look at all of it finds it"],
  };
}

function isRunning(started: unknown): started is Awaited<ReturnType<typeof startService>> {
  return typeof started === "object" && started !== null && "grpc" in started;
}

/** `fluo-kms check` looks at every row and every log. */
async function findsAny(folder: string, settings: Record<string, string>): Promise<boolean> {
  const config = join(folder, "kms.properties");
  writeFileSync(
    config,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  const { log, error } = console;
  console.log = () => {};
  console.error = () => {};
  try {
    return (await runCommandLine(["check", "--json", "--config", config])) !== 0;
  } finally {
    Object.assign(console, { log, error });
  }
}
