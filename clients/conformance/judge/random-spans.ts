/** Random spans, resources and scopes as wire bytes, well-formed unless said otherwise: of any field, at the limits of levels and lists. */
import type { Random } from "../../../test/crash/random.ts";
import {
  type Bytes,
  boolValue,
  bytesValue,
  double,
  doubleValue,
  fixed32,
  fixed64,
  len,
  message,
  stringValue,
  varint,
} from "../../../test/support/otlp-wire.ts";

/** What is signed together: contents of messages, without their tags. */
export interface SpanParts {
  resource: Bytes | undefined;
  scope: Bytes | undefined;
  span: Bytes;
}

const letters = ["a", "b", "Z", "0", ".", "_", " ", '"', "\\", "\n", "\u0000", "\u001f", "\u007f"];
const others = ["é", "e\u0301", "€", "\u2028", "\ufb33", "😂", "\ufeff", "\ud7ff", "\ue000", "\uffff", "\u{10ffff}"];
/** Names that mean something to some language's objects, and prefixes of the service's own. */
const oddKeys = [
  ...["", "__proto__", "constructor", "toString", "hasOwnProperty", "__class__", "$ref", "length", "\ud7ff\ue000"],
  ...["audit.integrity.x", "audit.integrity.", "audit.integrity.Value", "audit.integrity.fluo"],
  ...["audit.integrity", "audit.integrit\u00fd.value", "Audit.integrity.value", "audit.integrity_value"],
];
const doubles = [
  ...[0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE, Number.MAX_VALUE],
  ...[1e21, 1e20, 1.2345678901234568e20, 1e-6, 1e-7, 0.1, 1 / 3, 2 ** 53, 2 ** 53 + 2, 5e-324, 2.2250738585072014e-308],
  ...[-1.5, 4.35, 1e23, 9.5e-7, 333333333.3333333, 1e300, 2.9514790517935283e20],
];
const integers = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const times = [0n, 1n, 1_767_323_045_678_901_234n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
/** A NaN with a sign and other bits than usual: it has the same canonical form. */
const otherNan = Uint8Array.of(1, 0, 0, 0, 0, 0, 0xf8, 0xff);

export function randomText(r: Random, most = 20): string {
  const from = r.chance(0.5) ? letters : [...letters, ...others];
  return Array.from({ length: r.below(most) }, () => r.pick(from)).join("");
}

export function randomParts(r: Random): SpanParts {
  return {
    resource: r.chance(0.6) ? randomResource(r) : undefined,
    scope: r.chance(0.6) ? randomScope(r) : undefined,
    span: randomSpan(r),
  };
}

function randomResource(r: Random): Bytes {
  const entity = message(len(1, "https://example.com/s"), len(2, "host"), len(3, "a"), len(3, "a"), len(4, "b"));
  return shuffled(r, [
    ...attributes(r, 1, 6),
    ...some(r, 0.2, () => varint(2, r.below(5), r.below(3))),
    ...some(r, 0.1, () => len(3, entity)),
  ]);
}

function randomScope(r: Random): Bytes {
  return shuffled(r, [
    ...some(r, 0.8, () => len(1, randomText(r))),
    ...some(r, 0.5, () => len(2, randomText(r, 8))),
    ...attributes(r, 3, 3),
    ...some(r, 0.2, () => varint(4, r.below(3))),
  ]);
}

function randomSpan(r: Random): Bytes {
  const number = (field: number) => varint(field, r.pick([0, 1, 7, 2 ** 31, 2 ** 32 - 1])!, r.below(3));
  const fields = [
    len(1, id(r, 16)),
    len(2, id(r, 8)),
    ...some(r, 0.2, () => len(3, randomText(r))),
    ...some(r, 0.5, () => len(4, r.chance(0.3) ? new Uint8Array(8) : id(r, 8))),
    ...some(r, 0.9, () => len(5, randomText(r))),
    ...some(r, 0.7, () => varint(6, r.below(6), r.below(9))),
    ...some(r, 0.8, () => fixed64(7, r.pick(times)!)),
    ...some(r, 0.8, () => fixed64(8, r.pick(times)!)),
    ...(r.chance(0.02) ? countedAttributes(9, 128) : attributes(r, 9, 12)),
    ...some(r, 0.1, () => number(10)),
    ...some(r, 0.1, () => number(12)),
    ...some(r, 0.1, () => number(14)),
    ...some(r, 0.4, () => len(15, status(r))),
    ...some(r, 0.3, () => fixed32(16, 0x301)),
  ];
  // The order means something among events and among links alone.
  const events = list(r, 3, () => len(11, event(r)));
  const links = list(r, 3, () => len(13, link(r)));
  return message(shuffled(r, fields), ...events, ...links);
}

function status(r: Random): Bytes {
  return message(...some(r, 0.5, () => len(2, randomText(r))), ...some(r, 0.8, () => varint(3, r.below(3))));
}

function event(r: Random): Bytes {
  return shuffled(r, [
    ...some(r, 0.8, () => fixed64(1, r.pick(times)!)),
    ...some(r, 0.8, () => len(2, randomText(r))),
    ...attributes(r, 3, 3),
    ...some(r, 0.1, () => varint(4, 3)),
  ]);
}

function link(r: Random): Bytes {
  return shuffled(r, [
    ...some(r, 0.8, () => len(1, id(r, 16))),
    ...some(r, 0.8, () => len(2, id(r, 8))),
    ...some(r, 0.3, () => len(3, randomText(r))),
    ...attributes(r, 4, 3),
    ...some(r, 0.1, () => varint(5, 2)),
    ...some(r, 0.3, () => fixed32(6, 1)),
  ]);
}

function attributes(r: Random, number: number, most: number, level = 1): Bytes[] {
  const keys = new Set(list(r, most, () => (r.chance(0.1) ? r.pick(oddKeys)! : randomText(r, 10))));
  return [...keys].map((key) => len(number, keyValue(r, key, level)));
}

/** A KeyValue, whose value may come before its key, or be left out. */
function keyValue(r: Random, key: string, level: number): Bytes {
  const parts = [len(1, key), ...some(r, 0.95, () => len(2, value(r, level)))];
  return message(...(r.chance(0.8) ? parts : parts.reverse()));
}

/** Exactly so many, with keys of their own. */
export function countedAttributes(number: number, count: number): Bytes[] {
  return Array.from({ length: count }, (_, i) => len(number, message(len(1, `n${i}`), len(2, varint(3, i)))));
}

function value(r: Random, level: number): Bytes {
  switch (r.below(level > 3 ? 7 : 10)) {
    case 0:
      return message();
    case 1:
    case 2:
      return stringValue(randomText(r));
    case 3:
      return boolValue(r.chance(0.5));
    case 4:
      return r.chance(0.5) ? varint(3, r.pick(integers)!) : varint(3, r.below(1000), r.below(7));
    case 5:
      if (r.chance(0.05)) return message(double(4, 0).subarray(0, 1), otherNan);
      return doubleValue(r.chance(0.6) ? r.pick(doubles)! : (r.next() - 0.5) * 10 ** (r.below(60) - 30));
    case 6:
      return bytesValue(r.bytes(r.below(8)));
    case 7:
      return r.chance(0.1)
        ? nested(r, 32 - level - r.below(3))
        : len(5, message(...list(r, 4, () => len(1, value(r, level + 1)))));
    default:
      return len(6, message(...attributes(r, 1, 4, level + 1)));
  }
}

/** A value within so many lists and maps: `levels` + 1 of them all. */
export function nested(r: Random, levels: number): Bytes {
  let inner = stringValue("deep");
  for (let i = 0; i < levels; i += 1) {
    inner = r.chance(0.5) ? len(5, len(1, inner)) : len(6, len(1, message(len(1, "k"), len(2, inner))));
  }
  return inner;
}

/** Never all zero. */
function id(r: Random, length: number): Bytes {
  const bytes = r.bytes(length);
  if (r.chance(0.05)) bytes.fill(0);
  bytes[r.below(length)]! |= 1;
  return bytes;
}

function some(r: Random, probability: number, make: () => Bytes): Bytes[] {
  return r.chance(probability) ? [make()] : [];
}

function list<T>(r: Random, most: number, make: () => T): T[] {
  return Array.from({ length: r.below(most + 1) }, make);
}

export function shuffled(r: Random, fields: readonly Bytes[]): Bytes {
  const keyed = fields.map((field) => ({ field, at: r.next() }));
  return message(...keyed.sort((a, b) => a.at - b.at).map(({ field }) => field));
}
