/** AWS's own command line, version 1, as the package awscli of PyPI, at the versions of aws.txt. */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

export async function installAws(): Promise<void> {
  await installEnvironment("aws", join(import.meta.dirname, "aws.txt"), ["aws", "--version"]);
}
