/** AWS's own command line, version 1, as the package awscli of PyPI, into a Python environment of its own at tools/aws, at the versions of aws.txt. */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

/** Does nothing where it runs already. `bin` is tools/bin. Throws when it cannot be installed. */
export async function installAws(bin: string): Promise<void> {
  await installEnvironment(join(bin, "..", "aws"), join(import.meta.dirname, "aws.txt"), ["aws", "--version"]);
}
