/**
 * ministack (MIT, Python), an AWS for tests that knows IAM and KMS, into a Python environment of its own at tools/ministack, at the
 * version and with the hashes of ministack.txt: itself and the web server under it. What else it names is for services not used here.
 */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

/** Does nothing where it runs already. `tools` is the folder. Throws when it cannot be installed. */
export async function installMinistack(tools: string): Promise<void> {
  const works = ["python", "-c", "import ministack.app"] as const;
  await installEnvironment(join(tools, "ministack"), join(import.meta.dirname, "ministack.txt"), works);
}
