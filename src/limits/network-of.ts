/**
 * Networks that budgets are kept for: an IPv4 address, or the /64 of an IPv6 address, as one client can use all addresses of a /64. Each
 * network has one text. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is the IPv4 address.
 */
import { isIPv6 } from "node:net";

/** Text that is no address is a network of its own, under that text. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const bare = address.split("%", 1)[0]!; // without a zone
  if (!isIPv6(bare)) return address;
  const groups = groupsOf(bare);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return dotted(groups[6]!, groups[7]!);
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(":")}::/64`;
}

/** The eight groups of 16 bits. */
function groupsOf(address: string): number[] {
  const [before = "", after] = address.split("::");
  const [first, last] = [numbers(before), numbers(after ?? "")];
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

function numbers(part: string): number[] {
  return part
    .split(":")
    .filter((group) => group !== "")
    .flatMap((group) => {
      if (!group.includes(".")) return [Number.parseInt(group, 16)];
      const [a, b, c, d] = group.split(".").map(Number);
      return [a! * 256 + b!, c! * 256 + d!];
    });
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
