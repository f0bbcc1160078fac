/** Starts local-kms, which scripts/tools/local-kms.ts installs, with keys of its own in a directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { patience } from "../support/patience.ts";

export interface SeededKey {
  id: string;
  /** Key material in hex, 32 bytes each; the newest is last. */
  materials: readonly string[];
  /** `alias/name`. */
  alias?: string;
}

export interface LocalKms {
  region: string;
  url: string;
  close(): Promise<void>;
}

const binary = join(import.meta.dirname, "..", "..", "tools", "bin", "local-kms");
const startMs = patience(10_000);

export async function startLocalKms(region: string, keys: readonly SeededKey[]): Promise<LocalKms> {
  const directory = await mkdtemp(join(tmpdir(), "local-kms-"));
  const seed = join(directory, "seed.yaml");
  await writeFile(seed, seedOf(keys));
  const port = await freePort();
  const env = {
    PORT: String(port),
    KMS_REGION: region,
    KMS_ACCOUNT_ID: "111122223333",
    KMS_DATA_PATH: directory,
    KMS_SEED_PATH: seed,
  };
  const child = spawn(binary, { env, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (printed += text));
  const close = async () => {
    await ended(child);
    await rm(directory, { recursive: true });
  };
  const url = `http://127.0.0.1:${port}`;
  if (!(await isReady(child, url))) {
    await close();
    throw new Error(`local-kms did not start: ${printed}`);
  }
  return { region, url, close };
}

function seedOf(keys: readonly SeededKey[]): string {
  const key = ({ id, materials }: SeededKey) =>
    [
      `      - Metadata:`,
      `          KeyId: ${id}`,
      `        BackingKeys:`,
      ...materials.map((hex) => `          - ${hex}`),
    ].join("\n");
  const alias = ({ id, alias }: SeededKey) => (alias ? [`  - AliasName: ${alias}\n    TargetKeyId: ${id}`] : []);
  return ["Keys:", "  Symmetric:", "    Aes:", ...keys.map(key), "Aliases:", ...keys.flatMap(alias), ""].join("\n");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  const until = performance.now() + startMs;
  while (child.exitCode === null && performance.now() < until) {
    const status = await fetch(url).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 405) return true;
    await pause(20);
  }
  return false;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill();
  await exit;
}
