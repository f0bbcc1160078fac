/** Programs in Go, at the versions that their go.mod and go.sum or their own tag say. All throw where they cannot be had. */
import { join } from "node:path";
import { cached, linkTool } from "./cache.ts";
import { command } from "./command.ts";

export interface GoTool {
  name: string;
  module: string;
  /** Of the program within the module. */
  package: string;
  version: string;
}

/** Installs a program as `tools/bin/NAME`. */
export async function installGo({ name, module, package: path, version }: GoTool): Promise<void> {
  const program = `${module}${path}@${version}`;
  const folder = await cached(name, [program, goVersion()], (made) => {
    command("go", ["install", program], { env: { GOBIN: made } });
  });
  linkTool(join("bin", name), join(folder, name));
}

/** Builds the program of a folder of ours. Go itself builds again only where something has changed. */
export function buildGo(folder: string, binary: string, env: Record<string, string> = {}): void {
  command("go", ["build", "-C", folder, "-buildvcs=false", "-trimpath", "-o", binary, "."], { env });
}

/** Returns the version of the Go that builds. */
export function goVersion(): string {
  return command("go", ["env", "GOVERSION"]).trim();
}
