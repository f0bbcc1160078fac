import { createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type RowValue, rowMac } from "../../../../src/store/sql/rows/mac.ts";

const key = createSecretKey(randomBytes(32));
const inForm = (written: number, ...others: number[]) => rowMac(key, () => ({ written, read: [written, ...others] }));
const mac = inForm(1);

describe("a row's HMAC", () => {
  it("is 32 bytes, and the same for the same row", () => {
    const row = ["a", 1, null, new Uint8Array([1])];
    expect(mac.of("t", row)).toHaveLength(32);
    expect(mac.matches(mac.of("t", row), "t", row)).toBe(true);
  });

  const pairs: [RowValue[], RowValue[]][] = [
    [
      ["ab", "c"],
      ["a", "bc"],
    ],
    [["a", null], ["a"]],
    [[null], [""]],
    [[""], [new Uint8Array()]],
    [["1"], [1]],
    [["a"], [Buffer.from("a")]],
    [[0], [null]],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [257]],
    [[2 ** 52], [2 ** 52 + 1]],
  ];
  it.each(pairs)("tells %j from %j", (one, other) => {
    expect(mac.matches(mac.of("t", one), "t", other)).toBe(false);
  });

  it("tells tables, forms and keys apart", () => {
    const of = mac.of("t", ["a"]);
    expect(mac.matches(of, "u", ["a"])).toBe(false);
    expect(inForm(2).matches(of, "t", ["a"])).toBe(false);
    expect(rowMac(createSecretKey(randomBytes(32))).matches(of, "t", ["a"])).toBe(false);
  });

  it("is of the form that is written, and tells that of each form that is read", () => {
    const both = inForm(2, 1);
    const values = ["a"];
    expect(both.of("t", values)).toEqual(inForm(2).of("t", values));
    expect(both.formOf(inForm(2).of("t", values), "t", values)).toBe(2);
    expect(both.formOf(mac.of("t", values), "t", values)).toBe(1);
    expect(both.matches(mac.of("t", values), "t", values)).toBe(true);
    expect(both.formOf(inForm(3).of("t", values), "t", values)).toBeUndefined();
    expect(both.formOf(mac.of("t", values), "t", ["b"])).toBeUndefined();
  });

  it("refuses what is no HMAC", () => {
    for (const value of [null, undefined, "", 0, new Uint8Array(31), new Uint8Array(33)]) {
      expect(mac.matches(value, "t", ["a"])).toBe(false);
    }
  });
});
