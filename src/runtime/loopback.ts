/** Whether a host is this machine. */
import { BlockList, isIP } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** An address, in brackets or not, or `localhost`. */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, "");
  const family = isIP(plain);
  if (family === 0) return plain.toLowerCase() === "localhost";
  return loopback.check(plain, family === 6 ? "ipv6" : "ipv4");
}
