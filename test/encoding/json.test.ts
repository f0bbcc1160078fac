import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { hasEscapedName, JsonError, readJson, readJsonBytes } from "../../src/encoding/json.ts";
import { type Random, randomFrom } from "../crash/random.ts";

function errorOf(text: string): JsonError | undefined {
  try {
    readJson(text);
    return undefined;
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}

describe("a JSON text", () => {
  it.each([
    ["{}", {}],
    [' {"a" : 1 ,\r\n\t"b":[ ], "c":[{"d":null},true,false] } ', { a: 1, b: [], c: [{ d: null }, true, false] }],
    ['{"a":"\\"b\\":","b":"{[","c":"\\\\"}', { a: '"b":', b: "{[", c: "\\" }],
    ['{"":0,"\\u0061":"é😀\\ud83d\\ude00\\/"}', { "": 0, a: "é😀😀/" }],
    ["-0.5e+3", -500],
    ['"\\ud800"', "\ud800"],
    ["\u2028".replace(/^.*$/s, '"\u2028\u007f"'), "\u2028\u007f"],
  ])("is read: %j", (text, value) => {
    expect(readJson(text)).toEqual(value);
  });

  it.each([
    ...[
      "",
      " ",
      "{",
      "[",
      "{}x",
      "[1]]",
      "{a:1}",
      "{'a':1}",
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      "[1,]",
      "[,1]",
      '{"a":1 "b":2}',
    ],
    ...["NaN", "Infinity", "nul", "tru", "truex", "undefined", "+1", "01", "1.", ".5", "1e", "-", "0x1", "1_0", "--1"],
    ...['"', '"a', '"\\"', '"\\x"', '"\\u12g4"', '"\\u12', '"a\nb"', '"a\tb"', '"\\\u0001"', '"\\u0041\u0000"'],
    ...["\ufeff{}", "\u00a0{}", "\u000b1", "/**/1", "1//", "'a'"],
  ])("is refused as by JSON.parse: %j", (text) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(errorOf(text)?.message).toBe("is no JSON");
  });

  it("may have members of any name, as its own", () => {
    const value = readJson('{"__proto__":{"sub":"admin"},"constructor":1,"1":2}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["1", "__proto__", "constructor"]);
    expect(value.sub).toBeUndefined();
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    ['{"a":1,"b":2,"a":1}', "a"],
    ['{"sub":1,"s\\u0075b":2}', "sub"],
    ['[{"x":{"":1,"":1}}]', ""],
    ['{"__proto__":1,"__proto__":2}', "__proto__"],
    ['{"a\\"":"\\"","a\\u0022":"}"}', 'a"'],
  ])("has no member twice, however deep and however spelt: %j", (text, name) => {
    expect(errorOf(text)).toMatchObject({ reason: "repeated", member: name });
    expect(errorOf(text)?.message).not.toContain('"');
  });

  it("is told to be no JSON first, and then to have a member twice", () => {
    expect(errorOf('{"a":1,"a":2')).toMatchObject({ reason: "syntax" });
    expect(errorOf('{"a":1,"a":2}\n{"a":1}')).toMatchObject({ reason: "syntax" });
    expect(errorOf('{"b":{"a":1,"a":2},"b":1}')).toMatchObject({ member: "a" });
  });

  it("may be as deep as 512 levels", () => {
    const nested = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    expect(errorOf(nested(512))).toBeUndefined();
    for (const text of [nested(513), "[".repeat(1_000_000), '{"a":'.repeat(100_000)]) {
      expect(errorOf(text)?.message).toBe("is nested too deeply");
    }
  });

  it("is in UTF-8 where it is bytes", () => {
    expect(readJsonBytes(Buffer.from('{"a":"é"}'))).toEqual({ a: "é" });
    for (const bytes of [
      Buffer.from('{"a":"é"}', "latin1"),
      Buffer.from([0x7b, 0xff, 0x7d]),
      Buffer.from("1", "utf16le"),
    ]) {
      expect(() => readJsonBytes(bytes)).toThrow(JsonError);
    }
  });

  it("is read as what JSON.stringify wrote, its members in their order", () => {
    const random = randomFrom(1);
    for (let i = 0; i < 5_000; i += 1) {
      const value = randomValue(random, 0);
      const read = readJson(JSON.stringify(value, null, random.chance(0.5) ? 1 : 0));
      expect(read).toEqual(value);
      expect(JSON.stringify(read)).toBe(JSON.stringify(value));
    }
  });

  // Whether JSON.parse refuses a text can be relied upon in all versions of Node, what it reads cannot.
  it("is refused where JSON.parse refuses it, with one character more, less or other", () => {
    const random = randomFrom(2);
    for (let i = 0; i < 5_000; i += 1) {
      const text = JSON.stringify(randomValue(random, 0));
      const at = random.below(text.length + 1);
      const added = random.pick(["", ...'{}[]",:\\0-.eE tn\u0000\n/'])!;
      const changed = text.slice(0, at) + added + text.slice(at + random.below(2));
      const error = errorOf(changed);
      if (error?.reason !== "repeated") expect(error !== undefined, changed).toBe(!isParsed(changed));
    }
  });
});

it("a value keeps no more of its text in memory than itself", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const filler = "x".repeat(1024 * 1024);
  const read = (id: string) => (readJson(`{"id":"${id}","filler":"${filler}"}`) as { id: string }).id;
  collect();
  const before = getHeapStatistics().used_heap_size;
  const kept = Array.from({ length: 50 }, (_, i) => read(`9c1f2a34-5b6d-4e7f-8a90-${String(i).padStart(12, "0")}`));
  collect();
  expect(getHeapStatistics().used_heap_size - before).toBeLessThan(10 * filler.length);
  expect(kept).toHaveLength(50);
});

describe("numbers of a text", () => {
  /** Each with its member. */
  function found(text: string): [name: string, spelling: string][] {
    const numbers: [string, string][] = [];
    readJson(text, (spelling, name) => numbers.push([name, spelling]));
    return numbers;
  }

  it("are given as they are spelt, each with its member, or that of its list", () => {
    expect(found('{"a": 1700000000000000001, "b": -1.5e+300 , "c":0}')).toEqual([
      ["a", "1700000000000000001"],
      ["b", "-1.5e+300"],
      ["c", "0"],
    ]);
    expect(
      found('{"a":[1,{"b":2,"c":[]},3,[4]],"d":5}')
        .map(([name]) => name)
        .join(""),
    ).toBe("abaad");
    expect(found("12")).toEqual([["", "12"]]);
    expect(found(String.raw`{"\u0061\n\"": 1}`)).toEqual([['a\n"', "1"]]);
  });

  it("are not in strings", () => {
    expect(found(String.raw`{"1" : "2", "a\"3": "\\", "4": [true, null, "5:"], "é" :6}`)).toEqual([["é", "6"]]);
  });

  it("are what their reader makes of them", () => {
    expect(readJson('{"a":[1,2.5]}', (spelling) => `${spelling}!`)).toEqual({ a: ["1!", "2.5!"] });
  });
});

it.each([
  ['{"a":"\\\\","b":["\\"c\\":"]}', false],
  ['{"a":1, "\\u0062" \n: 2}', true],
  ['[{"a":{"b\\\\":1}}]', true],
  ['["\\\\",{"a":"b\\":","c":":"}]', false],
  ['{"a\\"":1}', true],
])("a name that is spelt with an escape is seen: %j", (text, expected) => {
  expect(hasEscapedName(text)).toBe(expected);
});

function isParsed(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const texts = [
  "",
  "a",
  '"',
  "\\",
  "\\\\",
  "1",
  "{",
  "[2,",
  ":",
  "-3",
  "\u2028",
  "é",
  "\n",
  "\u0001",
  "\ud800",
  "😀",
  "__proto__",
];

function randomValue(random: Random, level: number): unknown {
  const kind = level > 4 ? random.below(4) : random.below(6);
  if (kind === 0) return random.pick([true, false, null]);
  if (kind === 1) return random.pick(texts);
  if (kind < 4) return random.pick([0, 1, -1, 0.5, 1e300, 5e-324, -123456789.125, 2 ** 53]);
  const items = Array.from({ length: random.below(4) }, () => randomValue(random, level + 1));
  return kind === 4
    ? items
    : Object.fromEntries(items.map((item) => [`${random.pick(texts)}${random.below(9)}`, item]));
}
