/** An export in parts, and the batches and texts that are made of them. */
import { describe, expect, it } from "vitest";
import { readExport } from "../../../src/cli/sign/export-file.ts";
import { encodeParts, type Part, partsOf } from "../../../src/cli/sign/export-parts.ts";
import { withAttributes } from "../../../src/cli/sign/json-spans.ts";
import { locate } from "../../../src/cli/sign/json-text.ts";
import { batchesOf } from "../../../src/cli/sign/span-batches.ts";
import { type Bytes, hex, len, message, span } from "../../support/otlp-wire.ts";

const resource = len(1, len(1, len(1, "service.name")));
const scope = (name: string) => len(1, len(1, name));
const spanNamed = (name: string, bytes = 0) => span(len(5, name.padEnd(bytes, "x")));
const spans = (...names: string[]) => names.map((name) => len(2, spanNamed(name)));
const scopeSpans = (...fields: Bytes[]) => len(2, message(...fields));

/** Two scopes, one without a span, a schema behind the spans; a resource without a scope; one without anything. */
const whole = [
  message(
    resource,
    scopeSpans(scope("a"), ...spans("1", "2"), len(3, "https://s")),
    scopeSpans(scope("b")),
    len(3, "https://r"),
  ),
  message(resource),
  message(scopeSpans(...spans("3"))),
  message(),
];

describe("parts", () => {
  it("are together the export that they are of, with spans last", () => {
    const parts = whole.flatMap(partsOf);
    expect(parts.map(({ span: bytes }) => bytes && Buffer.from(bytes).toString("hex"))).toEqual(
      [spanNamed("1"), spanNamed("2"), undefined, undefined, spanNamed("3"), undefined].map(
        (bytes) => bytes && Buffer.from(bytes).toString("hex"),
      ),
    );
    const expected = message(
      len(
        1,
        message(
          resource,
          len(3, "https://r"),
          scopeSpans(scope("a"), len(3, "https://s"), ...spans("1", "2")),
          scopeSpans(scope("b")),
        ),
      ),
      len(1, resource),
      len(1, scopeSpans(...spans("3"))),
      len(1, ""),
    );
    expect(Buffer.from(encodeParts(parts)).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
  });

  it("have their resource and scope again where an export is cut between them", () => {
    const [one, two] = partsOf(whole[0]!) as [Part, Part];
    const head = message(resource, len(3, "https://r"));
    for (const [part, name] of [
      [one, "1"],
      [two, "2"],
    ] as const) {
      const expected = len(1, message(head, scopeSpans(scope("a"), len(3, "https://s"), ...spans(name))));
      expect(Buffer.from(encodeParts([part])).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
    }
  });

  it.each([
    ["an unknown field", len(9, ""), "resource_spans: field number 9 is unknown"],
    ["a field of another type", hex("0800"), "resource: wire type 0"],
    ["an end before its end", hex("1205"), "scope_spans[0]: ends before"],
  ])("are not had of a frame with %s", (_, frame, text) => {
    expect(() => partsOf(frame)).toThrow(text);
  });
});

describe("batches", () => {
  const exportOf = (count: number, bytes = 0) => {
    const all = Array.from({ length: count }, (_, n) => len(2, spanNamed(`${n}`, bytes)));
    return readExport("spans", len(1, message(resource, scopeSpans(scope("a"), ...all))));
  };

  it("have at most 1,000 spans, in order, with their resource and scope", () => {
    const { spans: all } = exportOf(2_500);
    const batches = batchesOf(all);
    expect(batches.map((batch) => batch.spans)).toEqual([1_000, 1_000, 500]);
    const again = batches.flatMap(({ resourceSpans }) => readExport("batch", resourceSpans).spans);
    expect(again.map(({ part }) => Buffer.from(part.span!))).toEqual(all.map(({ part }) => Buffer.from(part.span!)));
    expect(new Set(again.map(({ part }) => Buffer.from(part.resource).toString("hex"))).size).toBe(1);
  });

  it("have at most 1 MiB, except a span that is larger by itself", () => {
    const small = batchesOf(exportOf(100, 50_000).spans);
    for (const { resourceSpans } of small) expect(resourceSpans.length).toBeLessThanOrEqual(1024 * 1024);
    expect(small.map((batch) => batch.spans)).toEqual([20, 20, 20, 20, 20]);
    expect(batchesOf(exportOf(2, 3_000_000).spans).map((batch) => batch.spans)).toEqual([1, 1]);
    expect(() => batchesOf(exportOf(1, 4 * 1024 * 1024).spans)).toThrow(/larger with its resource than the 4 MiB/);
  });
});

describe("attributes in a text", () => {
  const added = [["k", "v"]] as const;
  const entry = '{"key":"k","value":{"stringValue":"v"}}';

  it.each([
    ["behind those that are there", '{"attributes":[{"key":"a"}]}', `{"attributes":[{"key":"a"},${entry}]}`],
    ["in a list that is empty", '{"attributes": [ ], "name": "x"}', `{"attributes": [${entry}], "name": "x"}`],
    ["in place of null", '{"attributes":null}', `{"attributes":[${entry}]}`],
    ["where there is no list", '{ "name": "]}" }', `{ "name": "]}", "attributes": [${entry}] }`],
    [
      "with the white space of the first",
      '{"attributes": [\n  {},\n  {}\n]}',
      `{"attributes": [\n  {},\n  {},\n  ${entry}\n]}`,
    ],
    ["under a name with an escape", '{"\\u0061ttributes":[1]}', `{"\\u0061ttributes":[1,${entry}]}`],
    [
      "and nowhere else",
      '{"events":[{"attributes":[]}],"attributes":[]}',
      `{"events":[{"attributes":[]}],"attributes":[${entry}]}`,
    ],
  ])("stand %s", (_, before, after) => {
    const document = (each: string) => `{"resource_spans" : [{"scopeSpans":[{"spans":[${each},{"name":"-"}]}]}]}\n`;
    expect(withAttributes(document(before), [added, undefined])).toBe(document(after));
  });

  it("are not put on another number of spans", () => {
    expect(() => withAttributes('{"resourceSpans":[]}', [added])).toThrow(/0/);
  });
});

describe("values in a JSON text", () => {
  it("lie where they lie", () => {
    const text = ' {"a\\"" : [1, -2.5e3 ,"\\\\"], "b":{"c":null} , "d":{ }, "e":[ ]}\n';
    const { members } = locate(text, 9);
    const slice = (name: string) => text.slice(members!.get(name)!.start, members!.get(name)!.end);
    expect([...members!.keys()].map(slice)).toEqual(['[1, -2.5e3 ,"\\\\"]', '{"c":null}', "{ }", "[ ]"]);
    expect(members!.get('a"')!.items!.map(({ start, end }) => text.slice(start, end))).toEqual([
      "1",
      "-2.5e3",
      '"\\\\"',
    ]);
  });
});
