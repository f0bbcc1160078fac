/** Starts local-kms, which scripts/tools/local-kms.ts installs, with keys of its own in a directory of its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../support/server-program.ts";

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

export async function startLocalKms(region: string, keys: readonly SeededKey[]): Promise<LocalKms> {
  const directory = await mkdtemp(join(tmpdir(), "local-kms-"));
  const seed = join(directory, "seed.yaml");
  await writeFile(seed, seedOf(keys));
  const env = {
    PORT: "0",
    KMS_REGION: region,
    KMS_ACCOUNT_ID: "111122223333",
    KMS_DATA_PATH: directory,
    KMS_SEED_PATH: seed,
  };
  const server = await startServer(binary, [], { env, ready: /Local KMS started on \S+:(\d+)\D/ });
  return {
    region,
    url: `http://127.0.0.1:${server.ready[1]}`,
    async close() {
      await server.end();
      await rm(directory, { recursive: true });
    },
  };
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
