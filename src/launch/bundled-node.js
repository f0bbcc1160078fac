/**
 * The Node that comes with the packages, whatever Node npm itself runs under. Found by its package, since npm links its command only where it
 * runs install scripts. JavaScript that any Node since 20 reads, as is all that runs before the process goes on under it.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
/** @type {Record<string, string>} */
const versions = require("fluo-kms/package.json").optionalDependencies;
/** Folder of the checkout or of the package. */
export const root = dirname(require.resolve("fluo-kms/package.json"));
const isWindows = process.platform === "win32";

/** Its file, or undefined where the package for this platform is not installed. */
export function bundledNode() {
  const platform = `${isWindows ? "win" : process.platform}-${process.arch}`;
  const name = Object.keys(versions).find((each) => each.endsWith(platform));
  if (name === undefined) return undefined;
  try {
    const folder = dirname(require.resolve(`${name}/package.json`));
    const file = join(folder, "bin", isWindows ? "node.exe" : "node");
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Whether anybody installed the packages: one that every command needs stands for all. */
export function arePackagesThere() {
  try {
    return require.resolve("pino") !== "";
  } catch {
    return false;
  }
}

const { compare } = new Intl.Collator("en", { numeric: true });

/** The oldest version that comes with any package: nothing older is tried. */
export const oldestNode = /** @type {string} */ (Object.values(versions).sort(compare)[0]);

export function isNewEnough(/** @type {string} */ version) {
  return compare(version, oldestNode) >= 0;
}
