import { expect, it } from "vitest";
import { numbersIn } from "../../src/encoding/json-numbers.ts";
import { type Random, randomFrom } from "../crash/random.ts";

/** Each number with its member. */
function found(text: string): [name: string, number: string][] {
  return Array.from(numbersIn(text), ({ name, start, end }) => [name, text.slice(start, end)]);
}

it("gives numbers as they are written, each with its member", () => {
  expect(found('{"a": 1700000000000000001, "b": -1.5e+300 , "c":0}')).toEqual([
    ["a", "1700000000000000001"],
    ["b", "-1.5e+300"],
    ["c", "0"],
  ]);
  expect(found("12")).toEqual([["", "12"]]);
});

it("gives elements of a list with the list's member, behind inner objects too", () => {
  expect(found('{"a":[1,{"b":2,"c":[]},3],"d":4}')).toEqual([
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
    ["d", "4"],
  ]);
});

it("gives a member's name without its escapes", () => {
  expect(found(String.raw`{"\u0061\n\"": 1}`)).toEqual([['a\n"', "1"]]);
});

it("takes no string and no word for a number, and no string for a member's name that is none", () => {
  expect(found(String.raw`{"1" : "2", "a\"3": "\\", "4": [true, null, "5:"], "é" :6}`)).toEqual([["é", "6"]]);
  expect(found('["a",1]')).toEqual([["", "1"]]);
});

it("finds in any text what JSON.parse makes numbers of", () => {
  const r = randomFrom(1);
  for (let i = 0; i < 2_000; i += 1) {
    const value = randomValue(r, 0);
    const numbers: number[] = [];
    collect(value, numbers);
    const text = JSON.stringify(value, null, r.chance(0.5) ? 1 : 0);
    expect(found(text).map(([, number]) => Number(number))).toEqual(numbers);
  }
});

const texts = ["", "a", '"', "\\", "1", "{", "[2,", ":", "-3", "\u2028", "é"];

function randomValue(r: Random, level: number): unknown {
  const kind = level > 4 ? r.below(4) : r.below(6);
  if (kind === 0) return r.pick([true, false, null]);
  if (kind === 1) return r.pick(texts);
  if (kind < 4) return r.pick([0, 1, -1, 0.5, 1e300, 5e-324, -123456789.125, 2 ** 53]);
  const items = Array.from({ length: r.below(4) }, () => randomValue(r, level + 1));
  return kind === 4 ? items : Object.fromEntries(items.map((item) => [`${r.pick(texts)}${r.below(9)}x`, item]));
}

/** In the order of the text: no name is an index, which would come first. */
function collect(value: unknown, numbers: number[]): void {
  if (typeof value === "number") numbers.push(value);
  else if (typeof value === "object" && value !== null) for (const each of Object.values(value)) collect(each, numbers);
}
