import { describe, expect, it } from "vitest";
import { uniqueObject } from "../../src/encoding/unique-json.ts";

const read = (text: string) => uniqueObject(Buffer.from(text));

describe("a JSON object that everybody reads the same", () => {
  it.each([
    ["{}", {}],
    [' {"a" : 1 ,\r\n"b":[{"a":1,"a":2}], "c":{"d":1,"d":2}} ', { a: 1, b: [{ a: 2 }], c: { d: 2 } }],
    ['{"a":"\\"b\\":","b":"{[","c":"\\\\"}', { a: '"b":', b: "{[", c: "\\" }],
    ['{"":0,"\\u0061":"é😀"}', { "": 0, a: "é😀" }],
  ])("is read: %s", (text, value) => {
    expect(read(text)).toEqual(value);
  });

  it("may have members of any name, as its own", () => {
    const value = read('{"__proto__":{"sub":"admin"},"constructor":1}')!;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(value.sub).toBeUndefined();
  });

  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"b":2,"a":1}',
    '{"sub":1,"s\\u0075b":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a":{"x":1},"b":"\\\\","a":[]}',
    '{"a":"\\"","a":"}"}',
  ])("has no member twice: %s", (text) => {
    expect(read(text)).toBeUndefined();
  });

  it.each(["", "[]", "null", "1", '"a"', "{", "{}x", "{a:1}", "{'a':1}", '{"a":1,}', '{"a":NaN}', "\ufeff{}"])(
    "is nothing else: %s",
    (text) => {
      expect(read(text)).toBeUndefined();
    },
  );

  it("is in UTF-8", () => {
    expect(uniqueObject(Buffer.from('{"a":"é"}', "utf8"))).toEqual({ a: "é" });
    expect(uniqueObject(Buffer.from('{"a":"é"}', "latin1"))).toBeUndefined();
    expect(uniqueObject(Buffer.from([0x7b, 0xff, 0x7d]))).toBeUndefined();
    expect(uniqueObject(Buffer.from('{"a":1}', "utf16le"))).toBeUndefined();
  });
});
