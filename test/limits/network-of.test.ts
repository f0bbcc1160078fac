/** Networks that budgets are kept for, by address. */
import { expect, it } from "vitest";
import { networkOf } from "../../src/limits/network-of.ts";
import { randomFrom } from "../crash/random.ts";

it.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::FFFF:192.0.2.7", "192.0.2.7"],
  ["::ffff:c000:207", "192.0.2.7"],
  ["0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:0DB8:0000:0000:1:2:3:4", "2001:db8:0:0::/64"],
  ["2001:db8:0:1::1", "2001:db8:0:1::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
  ["", ""],
  ["::ffff:no", "::ffff:no"],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});

it("is the same for all addresses of a /64, and for no other", () => {
  const random = randomFrom(1);
  const parts = ["0", "0", "1", "ffff", "0db8", "2001"];
  const part = () => random.pick(parts)!;
  const some = Array.from({ length: 300 }, () => Array.from({ length: 8 }, part).join(":"));
  for (const [at, address] of some.entries()) {
    expect(networkOf(shortened(address))).toBe(networkOf(address));
    for (const other of some.slice(0, at)) {
      expect(networkOf(address) === networkOf(other)).toBe(prefixOf(address) === prefixOf(other));
    }
  }
});

function shortened(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

/** What the URL standard makes of an address, as 128 bits; of a mapped one the IPv4 address, else the first 64. */
function prefixOf(address: string): string {
  const [first = "", last] = shortened(address).split("::");
  const groups = (part: string | undefined) => (part ? part.split(":") : []);
  const zeros = new Array<string>(8 - groups(first).length - groups(last).length).fill("0");
  const all = [...groups(first), ...zeros, ...groups(last)];
  return all.slice(0, 6).join(":") === "0:0:0:0:0:ffff" ? all.join(":") : all.slice(0, 4).join(":");
}
