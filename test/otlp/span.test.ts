/** What the reader refuses, once each, and the spellings of one value that it takes. test/attestation/vectors.test.ts has the accepted forms. */
import { describe, expect, it } from "vitest";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { thrownBy } from "../support/matchers.ts";
import {
  arrayValue,
  boolValue,
  type Bytes,
  bytesValue,
  doubleValue,
  fixed32,
  fixed64,
  hex,
  intValue,
  keyValue,
  kvlistValue,
  len,
  message,
  rawVarint,
  signRequest,
  span,
  spanId,
  stringValue,
  traceId,
  varint,
} from "../support/otlp-wire.ts";

const canonical = (bytes: Bytes) => readSignSpanRequest(signRequest(bytes)).span.canonical;
const attribute = (value: Bytes) => len(9, keyValue("a", value));
const deep = (levels: number) => {
  let value = stringValue("x");
  for (let i = 1; i < levels; i += 1) value = arrayValue(value);
  return value;
};

async function expectRefusal(bytes: Bytes, field: string, text: string): Promise<void> {
  const error = await thrownBy(() => canonical(bytes));
  expect(error).toBeKmsError("INVALID_ARGUMENT", field);
  expect((error as Error).message).toContain(text);
}

const value = "span.attributes[0].value";
const twice = (part: Bytes) => message(part, part);

describe("fields", () => {
  it.each([
    ["the span", len(17, ""), "span"],
    ["an event", len(11, len(5, "")), "span.events[0]"],
    ["a link", message(len(13, ""), len(13, varint(7, 1))), "span.links[1]"],
    ["a status, which has one that is reserved", len(15, varint(1, 1)), "span.status"],
    ["an attribute", len(9, len(3, "")), "span.attributes[0]"],
    ["an attribute: key_strindex, which is for profiles", len(9, varint(3, 1)), "span.attributes[0]"],
    ["a value: string_value_strindex, which is for profiles", attribute(varint(8, 1)), value],
    ["an array", attribute(len(5, len(2, ""))), `${value}.array_value`],
    ["a map", attribute(len(6, len(2, ""))), `${value}.kvlist_value`],
    ["the span, with the largest number", message(rawVarint(((2n ** 29n - 1n) << 3n) | 2n), hex("00")), "span"],
    ["the span, with another one's number plus 32", varint(38, 1), "span"],
  ])("refuses an unknown field of %s", async (_, part, field) => {
    await expectRefusal(span(part), field, "unknown");
  });

  it.each([
    ["field 0", hex("02 00"), "span", "field number 0"],
    ["a wrong wire type", varint(5, 1), "span.name", "wire type 0"],
    ["a wrong wire type of a value", attribute(fixed64(3, 1n)), `${value}.int_value`, "wire type 1"],
    ["wire type 6", hex("2e 00"), "span.name", "wire type 6"],
    ["a group", hex("2b 2c"), "span.name", "group"],
    ["the end of a group", hex("2c"), "span.name", "group"],
    ["a group in an unknown field", hex("8b01 8c01"), "span", "group"],
  ])("refuses %s", async (_, part, field, text) => {
    await expectRefusal(span(part), field, text);
  });

  it.each([
    ["span.trace_id", twice(len(1, hex(traceId)))],
    ["span.span_id", twice(len(2, hex(spanId)))],
    ["span.trace_state", twice(len(3, "a=b"))],
    ["span.parent_span_id", twice(len(4, hex(spanId)))],
    ["span.name", twice(len(5, "n"))],
    ["span.kind", twice(varint(6, 1))],
    ["span.start_time_unix_nano", twice(fixed64(7, 1n))],
    ["span.end_time_unix_nano", twice(fixed64(8, 1n))],
    ["span.dropped_attributes_count", twice(varint(10, 1))],
    ["span.dropped_events_count", twice(varint(12, 1))],
    ["span.dropped_links_count", twice(varint(14, 1))],
    ["span.status", twice(len(15, ""))],
    ["span.flags", twice(fixed32(16, 1))],
    ["span.events[0].time_unix_nano", len(11, twice(fixed64(1, 0n)))],
    ["span.events[0].name", len(11, twice(len(2, "")))],
    ["span.events[0].dropped_attributes_count", len(11, twice(varint(4, 0)))],
    ["span.links[0].trace_id", len(13, twice(len(1, "")))],
    ["span.links[0].span_id", len(13, twice(len(2, "")))],
    ["span.links[0].trace_state", len(13, twice(len(3, "")))],
    ["span.links[0].dropped_attributes_count", len(13, twice(varint(5, 0)))],
    ["span.links[0].flags", len(13, twice(fixed32(6, 0)))],
    ["span.status.message", len(15, twice(len(2, "")))],
    ["span.status.code", len(15, twice(varint(3, 0)))],
    ["span.attributes[0].key", len(9, twice(len(1, "a")))],
    ["span.attributes[0].value", len(9, twice(len(2, "")))],
  ])("refuses %s twice, although it is the same", async (field, part) => {
    await expectRefusal(span(part), field, "twice");
  });

  it.each([
    ["of another kind", message(stringValue("x"), intValue(1))],
    ["of the same kind", message(intValue(1), intValue(1))],
    ["that is an array, which parsers would merge", message(arrayValue(intValue(1)), arrayValue(intValue(2)))],
  ])("refuses a second member of a value, %s", async (_, value) => {
    await expectRefusal(span(attribute(value)), "span.attributes[0].value", "second member");
  });

  it("takes any order of the fields", () => {
    const fields = [len(1, hex(traceId)), len(2, hex(spanId)), len(5, "n"), varint(6, 3), len(9, keyValue("a"))];
    expect(canonical(message(...fields.toReversed()))).toBe(canonical(message(...fields)));
    expect(canonical(span(len(9, message(len(2, stringValue("v")), len(1, "k")))))).toBe(
      canonical(span(len(9, keyValue("k", stringValue("v"))))),
    );
  });

  it("takes defaults that are written out", () => {
    const texts = [3, 4, 5].map((number) => len(number, ""));
    const numbers = [6, 10, 12, 14].map((number) => varint(number, 0));
    const status = len(15, message(len(2, ""), varint(3, 0)));
    const explicit = span(...texts, ...numbers, fixed64(7, 0n), fixed64(8, 0n), status, fixed32(16, 0));
    expect(canonical(explicit)).toBe(canonical(span()));
  });

  it("omits an all-zero parent and all-zero ids of a link", () => {
    const zeros = (n: number) => new Uint8Array(n);
    const link = message(len(1, zeros(16)), len(2, zeros(8)));
    expect(canonical(span(len(4, zeros(8)), len(13, link)))).toBe(
      `{"span":{"links":[{}],"spanId":"${spanId}","traceId":"${traceId}"}}`,
    );
  });
});

describe("numbers", () => {
  it.each([
    ["a kind past the enum", varint(6, 6), "span.kind", "0 to 5"],
    ["a negative kind, in ten bytes", varint(6, -1), "span.kind", "0 to 5"],
    ["a kind that is 0 in its low 32 bits", varint(6, 2n ** 32n), "span.kind", "0 to 5"],
    ["a status code past the enum", len(15, varint(3, 3)), "span.status.code", "0 to 2"],
    ["a count past 32 bits", varint(10, 2n ** 32n), "span.dropped_attributes_count", "32 bits"],
    ["a negative count", varint(12, -1), "span.dropped_events_count", "32 bits"],
    ["a bool of 2", attribute(varint(2, 2)), `${value}.bool_value`, "0 or 1"],
    ["a bool of 1 in its low 32 bits", attribute(varint(2, 2n ** 32n + 1n)), `${value}.bool_value`, "0 or 1"],
    ["a varint past 64 bits", attribute(hex("18 ffffffffffffffffff02")), `${value}.int_value`, "64 bits"],
    ["a varint of eleven bytes", attribute(hex("18 8080808080808080808000")), `${value}.int_value`, "64 bits"],
    ["a tag of six bytes", hex("aa8080808000 00"), "span", "32 bits"],
    ["a tag past 32 bits", hex("aa80808010 00"), "span", "32 bits"],
    ["a length of six bytes", hex("2a 808080808000"), "span.name", "32 bits"],
    ["a length past 32 bits", hex("2a 8080808010"), "span.name", "32 bits"],
  ])("refuses %s", async (_, part, field, text) => {
    await expectRefusal(span(part), field, text);
  });

  it("takes varints that are longer than they need be, also as tag and length", () => {
    expect(canonical(span(varint(6, 3, 8), varint(10, 7, 9)))).toBe(canonical(span(varint(6, 3), varint(10, 7))));
    expect(canonical(span(attribute(varint(3, 5, 9)), attributeNamed("b", varint(2, 1, 5))))).toBe(
      canonical(span(attribute(intValue(5)), attributeNamed("b", boolValue(true)))),
    );
    expect(canonical(span(hex("aa80808000 8180808000 6e")))).toBe(canonical(span(len(5, "n"))));
  });

  const edgesOf = (...bits: bigint[]) => bits.flatMap((each) => [2n ** each - 1n, 2n ** each]);

  it.each([
    ...edgesOf(0n, 7n, 28n, 31n, 32n, 35n, 53n),
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    -1n,
    -(2n ** 31n),
    -(2n ** 63n),
  ])("writes the int64 %s exactly", (number) => {
    expect(canonical(span(attribute(intValue(number))))).toContain(`{"a":{"intValue":"${number}"}}`);
  });

  const billion = 10n ** 9n;
  const around = [billion - 1n, billion, billion + 1n, billion ** 2n];
  it.each([1n, ...around, ...edgesOf(32n, 63n), 2n ** 64n - 1n, 1764000000123456789n, 18446744073000000000n])(
    "writes the time %s exactly",
    (time) => {
      expect(canonical(span(fixed64(7, time)))).toContain(`"startTimeUnixNano":"${time}"`);
    },
  );

  it("covers everything but flags", () => {
    const base = canonical(span(len(13, len(1, hex(traceId)))));
    expect(canonical(span(len(13, message(len(1, hex(traceId)), fixed32(6, 1))), fixed32(16, 257)))).toBe(base);
    expect(canonical(span(len(13, message(len(1, hex(traceId)), varint(5, 1)))))).not.toBe(base);
  });
});

describe("ids", () => {
  const zeros = new Uint8Array(16);
  const inHex = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
  const withIds = (trace: Bytes, id: Bytes) => message(len(1, trace), len(2, id));
  const [trace, id] = [hex(traceId), hex(spanId)];

  it.each([
    ["no trace_id", len(2, id), "span.trace_id", "missing"],
    ["no span_id", len(1, trace), "span.span_id", "missing"],
    ["an all-zero trace_id", withIds(zeros, id), "span.trace_id", "all zero"],
    ["an all-zero span_id", withIds(trace, zeros.subarray(8)), "span.span_id", "all zero"],
    ["a trace_id of 15 bytes", withIds(trace.subarray(1), id), "span.trace_id", "16 bytes"],
    ["a span_id of 16 bytes", withIds(trace, trace), "span.span_id", "8 bytes"],
    ["a parent_span_id of 7 bytes", span(len(4, zeros.subarray(9))), "span.parent_span_id", "8 bytes"],
    ["a link's trace_id of 8 bytes", span(len(13, len(1, id))), "span.links[0].trace_id", "16 bytes"],
    ["a link's span_id of 1 byte", span(len(13, len(2, hex("01")))), "span.links[0].span_id", "8 bytes"],
    ["24 bytes that are no hex text", withIds(new Uint8Array(24).fill(255), id), "span.trace_id", "16 bytes"],
    ["a trace_id in hex", withIds(inHex(traceId), id), "span.trace_id", "hex was given where base64 is due"],
    ["a span_id in hex", withIds(trace, inHex(spanId)), "span.span_id", "hex was given where base64 is due"],
  ])("refuses %s", async (_, bytes, field, text) => {
    await expectRefusal(bytes, field, text);
  });

  it("writes them as lower-case hex", () => {
    const { span: read } = readSignSpanRequest(signRequest(span()));
    expect(read).toMatchObject({ traceId, spanId });
  });
});

describe("strings", () => {
  it.each([
    ["name", span(len(5, hex("ff"))), "span.name"],
    ["trace_state", span(len(3, hex("c3"))), "span.trace_state"],
    ["attribute key", span(len(9, len(1, hex("c080")))), "span.attributes[0].key"],
    ["value", span(attribute(len(1, hex("eda080")))), "span.attributes[0].value.string_value"],
    ["event name", span(len(11, len(2, hex("f4908080")))), "span.events[0].name"],
    ["link trace_state", span(len(13, len(3, hex("80")))), "span.links[0].trace_state"],
    ["status message", span(len(15, len(2, hex("e282")))), "span.status.message"],
  ])("refuses a %s that is not UTF-8", async (_, bytes, field) => {
    await expectRefusal(bytes, field, "UTF-8");
  });

  it("keeps a byte order mark and takes bytes that are not UTF-8 as bytes", () => {
    expect(canonical(span(len(5, "\ufeffn")))).toContain('"name":"\ufeffn"');
    expect(canonical(span(attribute(bytesValue(hex("ff")))))).toContain('{"bytesValue":"/w=="}');
  });

  it("writes long ones as JSON does, whatever stands where in them", () => {
    for (const odd of ['"', "\\", "\n", "\u0001", "\u001f", " ", "\u007f", "é", "😂", "\u2028", "a"]) {
      for (let before = 0; before < 9; before += 1) {
        const text = `${"x".repeat(before)}${odd}${"y".repeat(9 - before)}${odd}`;
        expect(canonical(span(len(5, text)))).toContain(`"name":${JSON.stringify(text)},`);
      }
    }
  });

  it("names no value in a refusal", async () => {
    const error = (await thrownBy(() => canonical(span(len(5, "secret"), len(5, "secret"))))) as Error;
    expect(JSON.stringify([error.message, error])).not.toContain("secret");
  });
});

describe("attributes", () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => keyValue(`k${i}`));
  const list = (number: number, count: number) => message(...many(count).map((entry) => len(number, entry)));

  it.each([
    ["a span", list(9, 129), "span.attributes[128]"],
    ["an event", len(11, list(3, 129)), "span.events[0].attributes[128]"],
    ["a link", len(13, list(4, 129)), "span.links[0].attributes[128]"],
  ])("refuses more than 128 of %s", async (_, bytes, field) => {
    await expectRefusal(span(bytes), field, "at most 128");
  });

  it("takes 128 in every list, and more entries in a map or an array", () => {
    expect(() => canonical(span(list(9, 128), len(11, list(3, 128)), len(13, list(4, 128))))).not.toThrow();
    const entries = many(1000).toReversed();
    expect(canonical(span(attribute(message(kvlistValue(...entries)))))).toBe(
      canonical(span(attribute(kvlistValue(...entries.toReversed())))),
    );
    expect(canonical(span(attribute(arrayValue(...entries.map(() => intValue(1))))))).toContain('[{"intValue":"1"},');
  });

  const sameKey = (number: number) => twice(len(number, keyValue("a", intValue(1))));
  const twoOfMap = "kvlist_value.values[1].key";
  it.each([
    ["a span", sameKey(9), "span.attributes[1].key"],
    ["an event", len(11, sameKey(3)), "span.events[0].attributes[1].key"],
    ["a link", len(13, sameKey(4)), "span.links[0].attributes[1].key"],
    ["a map", attribute(len(6, sameKey(1))), `${value}.${twoOfMap}`],
    ["a map in an array", attribute(arrayValue(len(6, sameKey(1)))), `${value}.array_value.values[0].${twoOfMap}`],
    ["a span, both of them the empty key", message(len(9, ""), len(9, len(1, ""))), "span.attributes[1].key"],
    ["a span, among many", message(list(9, 100), len(9, keyValue("k42"))), "span.attributes[100].key"],
    ["a span, __proto__", twice(len(9, keyValue("__proto__"))), "span.attributes[1].key"],
  ])("refuses a key that is there twice in %s", async (_, bytes, field) => {
    await expectRefusal(span(bytes), field, "same key");
  });

  it("refuses values nested deeper than 32 levels, and takes 32", async () => {
    expect(() => canonical(span(attribute(deep(32))))).not.toThrow();
    for (const levels of [33, 10_000]) {
      const field = `${value}${".array_value.values[0]".repeat(32)}`;
      await expectRefusal(span(attribute(deep(levels))), field, "32 levels");
    }
  });

  it("never omits one, whatever its value", () => {
    const numbers = [boolValue(false), intValue(0), doubleValue(0)];
    const forms = [stringValue(""), ...numbers, arrayValue(), kvlistValue(), bytesValue(hex(""))];
    const all = [undefined, hex(""), ...forms].map((value) => canonical(span(len(9, keyValue("approved", value)))));
    expect(all[0]).toContain('"attributes":{"approved":null}');
    expect(all[1]).toBe(all[0]);
    expect(new Set(all).size).toBe(forms.length + 1);
    expect(all).not.toContain(canonical(span()));
  });

  it("keeps the order of events and links and forgets that of attributes", () => {
    const [a, b] = [keyValue("a", intValue(1)), keyValue("b", intValue(2))];
    expect(canonical(span(len(9, a), len(9, b)))).toBe(canonical(span(len(9, b), len(9, a))));
    const [e, f] = [len(11, len(2, "e")), len(11, len(2, "f"))];
    expect(canonical(span(e, f))).not.toBe(canonical(span(f, e)));
    const [l, m] = [len(13, len(3, "l")), len(13, len(3, "m"))];
    expect(canonical(span(l, m))).not.toBe(canonical(span(m, l)));
  });
});

describe("a form that is many times as long as its message", () => {
  const many = (count: number, part: Bytes) => message(...Array.from({ length: count }, () => part));

  it.each<[string, Bytes, string]>([
    ["events with nothing but a dropped count", many(20_000, len(11, varint(4, 1))), '{"droppedAttributesCount":1}'],
    ["links with nothing but a dropped count", many(20_000, len(13, varint(5, 1))), '{"droppedAttributesCount":1}'],
    ["events with an attribute without anything", many(20_000, len(11, len(3, ""))), '{"attributes":{"":null}}'],
    ["false in an array", attribute(len(5, many(20_000, len(1, varint(2, 0))))), '{"boolValue":false}'],
    ["empty maps in an array", attribute(len(5, many(20_000, len(1, len(6, ""))))), '{"kvlistValue":{}}'],
    ["control characters", len(5, "\u0001".repeat(20_000)), "\\u0001"],
  ])("is written whole: %s", (_, wire, piece) => {
    expect(canonical(span(wire)).split(piece)).toHaveLength(20_001);
  });
});

describe("the signature's attributes", () => {
  const integrity = (key: string, value: Bytes | undefined) => len(9, keyValue(`audit.integrity.${key}`, value));

  it("are read and left out of the form", () => {
    const keys = ["signed_at", "tenant", "key_id", "value", "algorithm"];
    const { span: read } = readSignSpanRequest(
      signRequest(span(...keys.map((key) => integrity(key, stringValue(`"${key}" é`))))),
    );
    expect(read.canonical).toBe(canonical(span()));
    expect(read.integrity).toEqual({
      algorithm: '"algorithm" é',
      value: '"value" é',
      keyId: '"key_id" é',
      tenant: '"tenant" é',
      signedAt: '"signed_at" é',
    });
  });

  it.each([
    ["a reserved name", integrity("fluo.note", stringValue("x")), "span.attributes[0].key"],
    ["the bare prefix of reserved names", integrity("fluo.", stringValue("x")), "span.attributes[0].key"],
    ["one that is no string", integrity("value", intValue(1)), "span.attributes[0].value"],
    ["one without a value", integrity("tenant", undefined), "span.attributes[0].value"],
    ["one in an array", integrity("tenant", arrayValue(stringValue("x"))), "span.attributes[0].value"],
    ["one that is there twice", twice(integrity("value", stringValue(""))), "span.attributes[1].key"],
  ])("are refused: %s", async (_, bytes, field) => {
    await expectRefusal(span(bytes), field, "");
  });

  it.each(["", "note", "Value", "value ", "fluo", "fluox.note", 'value"', "\\value", "fluo\u0001.x", "value\u0000"])(
    "do not take %j, which is somebody else's",
    (name) => {
      const other = { key: `audit.integrity.${name}`, value: { intValue: "1" } };
      expect(canonical(span(integrity(name, intValue(1)), integrity("tenant", stringValue("acme"))))).toBe(
        canonical(span(integrity(name, intValue(1)))),
      );
      expect(JSON.parse(canonical(span(integrity(name, intValue(1))))).span.attributes).toEqual({
        [other.key]: other.value,
      });
    },
  );

  it("mean nothing elsewhere", () => {
    const entry = keyValue("audit.integrity.note", intValue(1));
    expect(canonical(span(len(11, len(3, entry)), len(13, len(4, entry))))).toContain("audit.integrity.note");
    expect(canonical(span(len(9, keyValue("audit.integrity", intValue(1)))))).toContain('"audit.integrity"');
  });
});

describe("truncation", () => {
  const whole = span(
    len(5, "name"),
    fixed64(7, 5n),
    fixed32(16, 1),
    attribute(arrayValue(stringValue("x"), doubleValue(1.5), kvlistValue(keyValue("k", intValue(300))))),
    len(11, message(len(2, "event"), fixed64(1, 9n))),
    len(13, len(1, hex(traceId))),
    len(15, len(2, "status")),
  );

  it("never reads past the end: a cut span is refused, or is what its own bytes say", () => {
    for (let length = 0; length < whole.length; length += 1) {
      const cut = whole.subarray(0, length);
      // Bytes of the cut part lie behind, so that reading too far would find them.
      const request = message(len(1, "acme"), len(2, cut), len(3, ""));
      let form: string | undefined;
      try {
        form = readSignSpanRequest(request).span.canonical;
      } catch (error) {
        expect(error).toBeKmsError("INVALID_ARGUMENT");
      }
      if (form !== undefined) expect(form).not.toBe(canonical(whole));
    }
  });

  it("refuses an inner length that runs past its message", async () => {
    await expectRefusal(span(len(9, hex("0a 05 61")), len(5, "name")), "span.attributes[0].key", "ends before");
  });
});

function attributeNamed(key: string, value: Bytes): Bytes {
  return len(9, keyValue(key, value));
}
