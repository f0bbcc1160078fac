/** The unit as text, and what systemd's tools say of it. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");
export const file = join(root, "deploy", "systemd", "fluo-kms.service");
export const unit = readFileSync(file, "utf8");

/** Where the unit expects the service. */
export const installed = "/usr/lib/fluo-kms";

/** All values of a setting, in order; they may be repeated. */
export function settings(name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value!);
}

export function setting(name: string): string {
  return settings(name)[0]!;
}

export function analyze(...args: readonly string[]): { status: number | null; output: string } {
  const env = { ...process.env, LC_ALL: "C.UTF-8", SYSTEMD_COLORS: "0" };
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8", env });
  return { status, output: stdout + stderr };
}

/** Names of the calls that the unit's filter lets through: sets that it names, less those behind a tilde. */
export function allowedCalls(): string[] {
  const [allow, refuse] = settings("SystemCallFilter");
  const refused = new Set(refuse!.slice(1).split(" ").flatMap(callsOf));
  return [...new Set(allow!.split(" ").flatMap(callsOf))].filter((call) => !refused.has(call)).sort();
}

export function callsOf(word: string): string[] {
  if (!word.startsWith("@")) return [word];
  const lines = analyze("syscall-filter", word)
    .output.split("\n")
    .map((line) => line.trim());
  return lines.filter((line) => line !== "" && line !== word && !line.startsWith("#")).flatMap(callsOf);
}
