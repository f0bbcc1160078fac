/** One folder for the temporary files of a whole run, gone at its end: a worker that is ended does not remove what it made. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function makeTemporaryFolder(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-test-"));
  // PostgreSQL does not run as root, so another user passes through.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
