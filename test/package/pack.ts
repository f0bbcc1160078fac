/** Packs the package once, and unpacks it beside the checkout's packages, where its imports are found: the commands that are tested are its. */
import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { command } from "../../scripts/tools/command.ts";

const root = join(import.meta.dirname, "..", "..");

declare module "vitest" {
  interface ProvidedContext {
    tarball: string;
  }
}

export default function pack({ provide }: TestProject): void {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-test-package-"));
  const said = command("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root });
  const tarball = join(folder, said.trim().split("\n").at(-1)!);
  const unpacked = join(folder, "fluo-kms");
  mkdirSync(unpacked);
  command("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"]);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  process.env.FLUO_KMS_PACKAGE = unpacked; // the tests of the command line are of this one, see support/code-under-test.ts
  provide("tarball", tarball);
}
