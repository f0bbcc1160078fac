import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { entryOffsets } from "../../src/tlog/entry-bundle.ts";
import {
  bundleOf,
  type EntryRun,
  isRun,
  packRuns,
  partOfRun,
  singleEntry,
  unpackRuns,
} from "../../src/tlog/entry-run.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

/** "<a:..,b:....>" with two places of one and two bytes. */
function runOf(count: number, shown = randomBytes(count * 3)): EntryRun {
  const places = [
    { at: 3, bytes: 1 },
    { at: 8, bytes: 2 },
  ];
  return { form: bytes("<a:..,b:....>"), places, count, shown: new Uint8Array(shown) };
}

const single = (text: string) => singleEntry(bytes(text));
const textOf = (runs: readonly EntryRun[]) => Buffer.from(bundleOf(runs)).toString("latin1");

describe("a run of entries", () => {
  it("is the same text for each, but for what it shows in hex", () => {
    const run = runOf(2, Buffer.from("01abcd02ef99", "hex"));
    expect(textOf([run])).toBe("\0\x0d<a:01,b:abcd>\0\x0d<a:02,b:ef99>");
    expect(textOf([single("ab"), partOfRun(run, 1, 2), single("")])).toBe("\0\x02ab\0\x0d<a:02,b:ef99>\0\0");
  });

  it("has a form of at most 65,535 bytes, places in it one behind the other, and what each entry shows", () => {
    const run = runOf(3);
    expect(isRun(run)).toBe(true);
    expect(isRun(single("x".repeat(65_535)))).toBe(true);
    const others: EntryRun[] = [
      single("x".repeat(65_536)),
      { ...run, count: 2 },
      { ...run, shown: run.shown.subarray(1) },
      { ...run, form: run.form.subarray(0, 11) },
      { ...run, places: run.places.toReversed() },
      { ...run, places: [run.places[0]!, { at: 4, bytes: 2 }] },
      { form: new Uint8Array(600), places: [{ at: 0, bytes: 256 }], count: 1, shown: new Uint8Array(256) },
    ];
    expect(others.filter(isRun)).toEqual([]);
  });

  it("is the same after it was packed, also in memory that others have a part in", () => {
    const runs = [runOf(3), single("one"), single(""), runOf(0), runOf(1)];
    const packed = packRuns(runs);
    const within = Buffer.concat([Buffer.alloc(5, 1), packed, Buffer.alloc(5, 1)]).subarray(5, -5);
    for (const each of [packed, within]) {
      const unpacked = unpackRuns(each)!;
      expect(unpacked.map(({ count, places }) => ({ count, places }))).toEqual(
        runs.map(({ count, places }) => ({ count, places })),
      );
      expect(bundleOf(unpacked)).toEqual(bundleOf(runs));
    }
    expect(unpackRuns(new Uint8Array())).toEqual([]);
  });

  it("is read from a bundle as well, as entries were kept before", () => {
    const bundle = bundleOf([runOf(3), single("one")]);
    const unpacked = unpackRuns(Buffer.concat([bundle, packRuns([runOf(2, Buffer.alloc(6))])]))!;
    expect(unpacked.map(({ count }) => count)).toEqual([1, 1, 1, 1, 2]);
    expect(bundleOf(unpacked.slice(0, 4))).toEqual(bundle);
    expect(entryOffsets(bundleOf(unpacked))).toHaveLength(7);
  });

  it("is not there where the bytes end within it, or its parts do not fit", () => {
    const packed = packRuns([single("one"), runOf(2)]);
    const whole = [0, packRuns([single("one")]).length];
    for (let end = 0; end < packed.length; end += 1) {
      expect(unpackRuns(packed.subarray(0, end)) !== undefined).toBe(whole.includes(end));
    }
    const bundle = bundleOf([runOf(2)]);
    for (const end of [1, 2, 14, 16]) expect(unpackRuns(bundle.subarray(0, end))).toBeUndefined();
    const places = packRuns([runOf(2)]);
    places[8] = 12; // the first place begins near the form's end
    expect(unpackRuns(places)).toBeUndefined();
  });
});
