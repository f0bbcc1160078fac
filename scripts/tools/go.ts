/** Programs in Go, at the versions that their go.mod and go.sum or their own tag say. Both throw where they cannot be had. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

export interface GoTool {
  name: string;
  module: string;
  /** Of the program within the module. */
  package: string;
  version: string;
}

/** Into `bin`, unless this version is there already: by what the binary says of itself, so that an older one is replaced. */
export function installGo({ name, module, package: path, version }: GoTool, bin: string): void {
  const { stdout } = spawnSync("go", ["version", "-m", join(bin, name)], { encoding: "utf8" });
  if (stdout.includes(`\tmod\t${module}\t${version}\t`)) return;
  go(["install", `${module}${path}@${version}`], { GOBIN: bin });
}

/** The program of a folder of ours, which Go itself builds again only where something has changed. */
export function buildGo(folder: string, binary: string, env: Record<string, string> = {}): void {
  go(["build", "-C", folder, "-buildvcs=false", "-trimpath", "-o", binary, "."], env);
}

/** Throws with what it said where it fails. */
export function go(args: readonly string[], env: Record<string, string>): void {
  const { error, status, stderr } = spawnSync("go", args, { encoding: "utf8", env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`go ${args.join(" ")} failed: ${error?.message ?? stderr}`);
}
