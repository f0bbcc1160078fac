/**
 * ministack (MIT, Python), an AWS for tests that knows IAM and KMS, at the version and with the hashes of ministack.txt: itself and the web
 * server under it. What else it names is for services not used here.
 */
import { join } from "node:path";
import { installEnvironment } from "./python-environment.ts";

export async function installMinistack(): Promise<void> {
  const works = ["python", "-c", "import ministack.app"] as const;
  await installEnvironment("ministack", join(import.meta.dirname, "ministack.txt"), works);
}
