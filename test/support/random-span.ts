/** Random spans, from a fixed seed: encoded in random order with varints of random length, and a model of what their canonical form holds. */
import { type Bytes, double, fixed64, hex, len, message, spanId, traceId, varint } from "./otlp-wire.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A field's wire bytes and the members that the canonical form has for it. */
interface Model {
  wire: Bytes[];
  form: Map<string, Json>;
}

/** Mulberry32: the same numbers for the same seed. */
export function generator(seed: number) {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  const bits = (n: number) =>
    BigInt.asUintN(n, BigInt(below(2 ** 32)) * 2n ** 32n + BigInt(below(2 ** 32))) >> BigInt(below(n));
  return { below, bits };
}
export type Random = ReturnType<typeof generator>;

const alphabet = [...'abZ0._ "\\\n\u0000\u001f\u007fé€\u2028\ufb33😂\ufeff'];

function text(r: Random): string {
  return Array.from({ length: r.below(20) }, () => alphabet[r.below(r.below(2) ? alphabet.length : 6)]).join("");
}

function value(r: Random, depth: number): { wire: Bytes; form: Json } {
  switch (r.below(depth > 3 ? 6 : 8)) {
    case 0:
      return { wire: hex(""), form: null };
    case 1: {
      const s = text(r);
      return { wire: len(1, s), form: { stringValue: s } };
    }
    case 2: {
      const b = r.below(2);
      return { wire: varint(2, b, r.below(9)), form: { boolValue: b === 1 } };
    }
    case 3: {
      const n = BigInt.asIntN(64, r.below(2) ? r.bits(64) : -r.bits(64));
      return { wire: varint(3, n), form: { intValue: n.toString() } };
    }
    case 4: {
      const d = [0, -0, Number.NaN, Number.NEGATIVE_INFINITY, r.below(1e6) / 64, 10 ** (r.below(600) - 300)][
        r.below(6)
      ]!;
      return { wire: double(4, d), form: { doubleValue: Number.isFinite(d) ? d : String(d) } };
    }
    case 5: {
      const bytes = Uint8Array.from({ length: r.below(8) }, () => r.below(256));
      return { wire: len(7, bytes), form: { bytesValue: Buffer.from(bytes).toString("base64") } };
    }
    case 6: {
      const values = Array.from({ length: r.below(4) }, () => value(r, depth + 1));
      return {
        wire: len(5, message(...values.map((v) => len(1, v.wire)))),
        form: { arrayValue: values.map((v) => v.form) },
      };
    }
    default: {
      const map = attributes(r, 1, 4, depth + 1);
      return { wire: len(6, message(...map.wire)), form: { kvlistValue: Object.fromEntries(map.form) } };
    }
  }
}

/** Up to `most` attributes with keys of their own, as fields of this number. */
function attributes(r: Random, number: number, most: number, depth = 1): Model {
  const form = new Map<string, Json>();
  const wire: Bytes[] = [];
  for (let i = r.below(most + 1); i > 0; i -= 1) {
    const key = text(r);
    if (form.has(key)) continue;
    const v = value(r, depth);
    const parts = [len(1, key), len(2, v.wire)];
    wire.push(len(number, message(...(r.below(2) ? parts : parts.toReversed()))));
    form.set(key, v.form);
  }
  return { wire, form };
}

export function randomSpan(r: Random): { wire: Bytes; form: Json } {
  const own = attributes(r, 9, 30);
  const events = Array.from({ length: r.below(3) }, () => ({
    name: text(r),
    time: r.bits(64),
    own: attributes(r, 3, 3),
  }));
  const links = Array.from({ length: r.below(3) }, () => ({ state: text(r), own: attributes(r, 4, 3) }));
  const [name, kind, start, dropped] = [text(r), r.below(6), r.bits(64), r.below(3)];
  const singular = [
    len(1, hex(traceId)),
    len(2, hex(spanId)),
    len(5, name),
    varint(6, kind, r.below(9)),
    fixed64(7, start),
  ];
  // Order counts only among events and among links, so these stay behind one another.
  const wire = shuffled(r, [...own.wire, ...singular, varint(10, dropped, r.below(9))]).concat(
    events.map((e) => len(11, message(...shuffled(r, [...e.own.wire, len(2, e.name), fixed64(1, e.time)])))),
    links.map((l) => len(13, message(...shuffled(r, [...l.own.wire, len(3, l.state)])))),
  );
  const form = withoutDefaults({
    traceId,
    spanId,
    name,
    kind,
    startTimeUnixNano: start === 0n ? "" : start.toString(),
    droppedAttributesCount: dropped,
    attributes: Object.fromEntries(own.form),
    events: events.map((e) =>
      withoutDefaults({
        name: e.name,
        timeUnixNano: e.time === 0n ? "" : e.time.toString(),
        attributes: Object.fromEntries(e.own.form),
      }),
    ),
    links: links.map((l) => withoutDefaults({ traceState: l.state, attributes: Object.fromEntries(l.own.form) })),
  });
  return { wire: message(...wire), form: { span: form } };
}

function withoutDefaults(members: { [key: string]: Json }): Json {
  const isDefault = (v: Json) =>
    v === "" || v === 0 || (typeof v === "object" && v !== null && Object.keys(v).length === 0);
  return Object.fromEntries(Object.entries(members).filter(([, v]) => !isDefault(v)));
}

function shuffled(r: Random, list: Bytes[]): Bytes[] {
  return list
    .map((item) => ({ item, at: r.below(2 ** 31) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
