import { describe, expect, it } from "vitest";
import { writeBase64 } from "../../src/encoding/base64.ts";
import { decimalDigits, writeDecimal, writeHex } from "../../src/encoding/digits.ts";

const out = Buffer.alloc(4096);
const view = new DataView(out.buffer, out.byteOffset, out.length);
const allBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

describe("digits", () => {
  it("are those of the number, however long it is", () => {
    const powers = Array.from({ length: 16 }, (_, i) => 10 ** i);
    const numbers = [
      0,
      ...powers.flatMap((power) => [power - 1, power, power + 1, power * 3.7]),
      2 ** 31,
      2 ** 32,
      2 ** 53 - 1,
    ];
    for (const number of numbers.map(Math.floor).filter(Number.isSafeInteger)) {
      const end = writeDecimal(view, 3, number);
      expect(out.toString("latin1", 3, end)).toBe(String(number));
      expect(end - 3).toBe(decimalDigits(number));
    }
  });

  it("are hex of every byte", () => {
    expect(out.toString("latin1", 5, writeHex(view, 5, allBytes, 0, 256))).toBe(allBytes.toString("hex"));
    expect(out.toString("latin1", 0, writeHex(view, 0, allBytes, 7, 9))).toBe("0708");
  });
});

describe("base 64", () => {
  it("is Node's, for every byte and every length of the rest", () => {
    for (let end = 0; end <= 256; end += 1) {
      expect(out.toString("latin1", 1, writeBase64(view, 1, allBytes, 2, Math.max(2, end)))).toBe(
        allBytes.subarray(2, Math.max(2, end)).toString("base64"),
      );
    }
  });
});
