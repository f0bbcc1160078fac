import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { expect, it } from "vitest";
import { crc32c } from "../../src/encoding/crc32c.ts";

/** RFC 3720 appendix B.4; its CRCs are there in the order of their bytes on the wire. */
const counted = Uint8Array.from({ length: 32 }, (_, at) => at);
const scsiRead =
  "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000";

it.each<[string, Uint8Array, string]>([
  ["32 bytes of zeroes", Buffer.alloc(32), "aa36918a"],
  ["32 bytes of ones", Buffer.alloc(32, 0xff), "43aba862"],
  ["32 bytes that count up", counted, "4e79dd46"],
  ["32 bytes that count down", counted.toReversed(), "5cdb3f11"],
  ["a SCSI read command", Buffer.from(scsiRead.replaceAll(" ", ""), "hex"), "563a96d9"],
])("of %s is RFC 3720's", (_what, bytes, wire) => {
  expect(crc32c(bytes)).toBe(Buffer.from(wire, "hex").readUInt32LE());
});

it("of the digits from 1 to 9 is that of the catalogues, of nothing 0, and neither is zlib's", () => {
  const digits = Buffer.from("123456789");
  expect(crc32c(digits)).toBe(0xe3069283);
  expect(crc32c(digits)).not.toBe(crc32(digits));
  expect(crc32c(Buffer.alloc(0))).toBe(0);
});

it("is another for every bit that is flipped", () => {
  const bytes = randomBytes(100);
  const seen = new Set([crc32c(bytes)]);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Uint8Array.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    seen.add(crc32c(flipped));
  }
  expect(seen.size).toBe(801);
});
