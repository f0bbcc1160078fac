/**
 * The network that a guide is walked in. Guides use the ports that are documented; on Linux each has a network of its own, with a loopback
 * and nothing else, where all ports are free. Where such cannot be made (it takes a user namespace, and ip), they must be free on the machine.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

const ports = [4599, 4600, 4601, 8080, 8081, 8082, 8181, 8200, 8201, 9000, 9001, 9002];
/** Setting the network up takes root's rights in it; the guide then has those of a user, as PostgreSQL does not run as root. */
const alone = [
  ...["unshare", "--map-root-user", "--net", "sh", "-c"],
  'ip link set lo up && exec unshare --map-user=1000 --map-group=1000 "$@"',
  "sh",
] as const;

export interface Network {
  /** The command that runs another in it. */
  wrapper: readonly string[];
  /** How many guides may be walked at once. */
  guides: number;
}

/** Throws where the ports are taken, and no network of their own can be made. */
export async function networkForGuides(): Promise<Network> {
  const [command, ...args] = alone;
  if (spawnSync(command, [...args, "true"]).status === 0) return { wrapper: alone, guides: 2 };
  const taken: number[] = [];
  for (const port of ports) if (!(await isFree(port))) taken.push(port);
  if (taken.length === 0) return { wrapper: [], guides: 1 };
  throw new Error(`the ports ${taken.join(", ")} are in use, and no network of its own can be made for a guide here`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
