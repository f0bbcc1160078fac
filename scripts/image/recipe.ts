/** The constants of the image, which its build, its tests and its documentation share. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { flags } from "../../src/runtime/flags.js";

export const root = join(import.meta.dirname, "..", "..");

/** The user and the group `nonroot`, as numbers: Kubernetes checks runAsNonRoot by number alone. */
export const nonroot = 65532;

export const stateDirectory = "/var/lib/fluo-kms";

/** The command of the image. The bill of materials and the compile cache are made for the same Node and flags. */
export const entrypoint = ["/usr/bin/node", ...flags, "--use-system-ca", "/app/src/main.js"];

/** `/usr/bin/fluo-kms`, for commands beside the service: without a shell there is no other way to give them a name. The entry adds the flags. */
export const commandScript = `#!${entrypoint[0]}\nimport "${entrypoint.at(-1)}";\n`;

/** Names of one processor: of npm packages, of Debian's libraries, and of the loader that programs name. */
export interface Architecture {
  readonly name: "amd64" | "arm64";
  readonly npm: "x64" | "arm64";
  readonly triplet: string;
  readonly loader: string;
}

export const architectures: Readonly<Record<Architecture["name"], Architecture>> = {
  amd64: { name: "amd64", npm: "x64", triplet: "x86_64-linux-gnu", loader: "/lib64/ld-linux-x86-64.so.2" },
  arm64: { name: "arm64", npm: "arm64", triplet: "aarch64-linux-gnu", loader: "/lib/ld-linux-aarch64.so.1" },
};

/** Returns the architecture of this machine; a build for any other is not run. */
export function architectureHere(): Architecture {
  return process.arch === "arm64" ? architectures.arm64 : architectures.amd64;
}

export const version: string = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

/** Seconds since 1970 that all files of the image carry: those of SOURCE_DATE_EPOCH, else of the last commit. */
export function sourceDate(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  return Number(given ?? git("log", "-1", "--format=%ct"));
}

export function commit(): string {
  return git("rev-parse", "HEAD");
}

/** Returns what git prints. A checkout may belong to somebody else than whoever builds. */
export function git(...args: readonly string[]): string {
  return execFileSync("git", ["-c", "safe.directory=*", ...args], { cwd: root, encoding: "utf8" }).trim();
}
