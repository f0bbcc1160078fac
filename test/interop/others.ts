/** Other people's software, as scripts/test-interop.ts installed it: JSON in, and JSON out or the reason why not. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "tools", "bin");

export type Outcome = { verified: true; learned: Record<string, unknown> } | { verified: false; why: string };

/** A check of test/interop/go. */
export function byGo(
  check: "checkpoint" | "proof" | "consistency" | "envelope" | "statement" | "instants",
  given: object,
): Outcome {
  return outcomeOf(join(bin, "interop"), [check], given);
}

export function byTorchwood(given: { vkeys: string[]; proof: string; entry: string }): Outcome {
  return outcomeOf(join(bin, "interop-torchwood"), [], given);
}

/** A check of test/interop/python. */
export function byPython(check: "envelope" | "canonical" | "instants", given: object): Outcome {
  const script = join(import.meta.dirname, "python", "verify.py");
  return outcomeOf(join(root, "tools", "interop", "bin", "python"), [script, check], given);
}

/**
 * Tessera's fsck of a whole log. It ends with 0 whatever it finds, so what it says counts; and it may never end, which is no success. It
 * runs beside this process, which may be what serves the log.
 */
export async function fsck(url: string, publicKeyFile: string): Promise<{ verified: boolean; said: string }> {
  const args = ["-N", "4", "-ui=false", "-storage_url", url, "-public_key", publicKeyFile];
  const child = spawn(join(bin, "fsck"), args, { stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  const said = out + err;
  return { verified: said.includes("Successfully fsck'd"), said };
}

const maxOutputBytes = 64 * 1024 * 1024;

function outcomeOf(command: string, args: readonly string[], given: object): Outcome {
  const { error, status, stdout, stderr } = spawnSync(command, args, {
    input: JSON.stringify(given),
    encoding: "utf8",
    maxBuffer: maxOutputBytes,
  });
  if (error !== undefined) throw error;
  if (status !== 0) return { verified: false, why: stderr.trim() };
  return { verified: true, learned: stdout === "" ? {} : JSON.parse(stdout) };
}
