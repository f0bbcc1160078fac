/** Where threads and processes begin: code is TypeScript in a checkout and JavaScript in a package, and goes on as what starts it. */
import { extname } from "node:path";

/** The module `name`, without its extension, in the folder of the module at `address`. */
export function moduleBeside(name: string, address: string): URL {
  return new URL(`${name}${extname(address)}`, address);
}
