/** A walk through a table goes on, in the order of the databases, or it ends. */
import { expect, it } from "vitest";
import type { Place } from "../../../src/store/sql/rows/walk.ts";
import { onward } from "../../../src/store/sql/rows/walk.ts";
import { thrownBy } from "../../support/matchers.ts";

/** Each is behind the one before it. */
const inOrder: Place[] = [
  [null],
  [-1],
  [2],
  [10],
  [""],
  ["a"],
  ["a", null],
  ["a", 1],
  ["a", "B"],
  ["a", "b"],
  ["a", "\u{ffff}"],
  ["a", "\u{10000}"], // UTF-16 units would put it before the one above
  ["b", null],
  [new Uint8Array()],
  [new Uint8Array([1])],
  [new Uint8Array([1, 0])],
];

it("goes on from each place to each one behind it, and to no other", async () => {
  for (const [at, place] of inOrder.entries()) {
    expect(onward("rows", undefined, place)).toBe(place);
    for (const [other, end] of inOrder.entries()) {
      if (place.length !== end.length) continue;
      if (other > at) expect(onward("rows", place, end)).toBe(end);
      else expect(await thrownBy(() => onward("rows", place, end))).toBeKmsError("DATA_LOSS", "the order of rows");
    }
  }
});

it("does not go on to what is no number", async () => {
  expect(await thrownBy(() => onward("rows", [1], [Number.NaN]))).toBeKmsError("DATA_LOSS", "the order of rows");
});
