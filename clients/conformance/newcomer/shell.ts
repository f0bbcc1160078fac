/** What a newcomer does by hand: folders of their own, files in them, and commands. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { packageCaches } from "../../../scripts/tools/cache.ts";
import type { Shop } from "./shops.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** Runs a script as a shell does that stops at the first failure, without what this project has on its PATH. */
export async function run(script: string, cwd: string, { env = {} }: Pick<Shop, "env">): Promise<string> {
  const path = process.env.PATH!.split(delimiter).filter((each) => !each.startsWith(join(root, "node_modules")));
  // Settings of the npm and the Vitest that started this run are none of a newcomer's; downloads are kept in the same place.
  const others = /^(npm_|VITEST|BUNDLE_|NODE_(ENV|OPTIONS)$)/;
  const own = Object.entries(process.env).filter(([name]) => !others.test(name));
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    env: {
      ...Object.fromEntries(own),
      ...packageCaches(),
      ...env,
      PATH: [dirname(process.execPath), ...path].join(delimiter),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [[code], out, err] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new Error(`${script.trimEnd()}\nended with ${code}:\n${out}${err}`);
  return out;
}

export function write(folder: string, name: string, content: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}

/** Removed with the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-newcomer-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
