import { describe, expect, it } from "vitest";
import { entryAt, entryOffsets, firstEntries } from "../../src/tlog/entry-bundle.ts";

const long = Buffer.alloc(300, "x");
const bundle = Buffer.concat([Buffer.of(0, 2), Buffer.from("ab"), Buffer.of(0, 0), Buffer.of(1, 44), long]);

describe("a bundle", () => {
  it("has each entry after its length, an empty one too", () => {
    expect([0, 1, 2].map((place) => Buffer.from(entryAt(bundle, place)!).toString())).toEqual(["ab", "", `${long}`]);
    expect(entryOffsets(new Uint8Array())).toEqual([0]);
  });

  it("begins with the bundle of its first entries", () => {
    expect(firstEntries(bundle, 2)).toEqual(bundle.subarray(0, 6));
    expect(firstEntries(bundle, 3)).toEqual(bundle);
  });

  it("has no entry behind its last, and none at all where it ends within one", () => {
    expect(entryAt(bundle, 3)).toBeUndefined();
    expect(firstEntries(bundle, 4)).toBeUndefined();
    for (const cut of [bundle.subarray(0, -1), bundle.subarray(0, 1), bundle.subarray(0, 7)]) {
      expect(entryOffsets(cut)).toBeUndefined();
      expect(entryAt(cut, 0)).toBeUndefined();
      expect(firstEntries(cut, 1)).toBeUndefined();
    }
  });
});
