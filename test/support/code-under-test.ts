/** Whose command line is tested: that of this tree, or of the package whose folder `npm run test:package` names. */
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const { FLUO_KMS_PACKAGE: unpacked } = process.env;

/** What `node` is given. */
export const main = join(unpacked ?? root, "src", "main.js");

/** What `main` imports. */
export const commandLine =
  unpacked === undefined ? join(root, "src/cli/run.ts") : join(unpacked, "dist/src/cli/run.js");
