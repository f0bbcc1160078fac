/** Node 26.10, the last for every platform whose JSON.parse misreads names. `npm run test:nodes` installs it. */
import { globSync } from "node:fs";
import { join } from "node:path";

const [found] = globSync(join(import.meta.dirname, "../../tools/nodes/node_modules/node-*/bin/node"));

export const formerNode = found ?? "Node 26.10, which npm run test:nodes installs";
