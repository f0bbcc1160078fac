/**
 * What Node makes of our files, kept beside the packages. Else each thread of each process strips their types for itself, by a compiler of
 * twelve MiB that it never gives back. `npm ci` fills it. It is of the user who filled it: for another, who may not write there, Node does
 * without, and the service holds some 30 MiB more.
 *
 * In JavaScript, and so is who imports it first: the compiler would be there for it alone.
 */
import module from "node:module";
import { fileURLToPath } from "node:url";

export const compileCache = fileURLToPath(new URL("../../node_modules/.cache/fluo-kms", import.meta.url));

/** Of modules that are imported from now on. */
export function keepCompiled() {
  module.enableCompileCache(compileCache);
  process.env.NODE_COMPILE_CACHE = compileCache; // threads look there
}
