/** Wire bytes of a message, made wrong in the ways that decoders know, and in those that they may not. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Random } from "../crash/random.ts";

type Change = (bytes: Uint8Array, random: Random) => Uint8Array;

interface Part {
  start: number;
  end: number;
  /** Of what follows a length. */
  content: number | undefined;
}

const garbage = [
  "0f",
  "0000",
  "08ffffffffffffffffffff",
  "0affffffff0f",
  "0a05",
  "0c",
  "0b0b0b",
  "f8ffffff0f01",
  "9a0600",
];
const notText = ["ff", "c080", "eda080", "f4908080", "00", "efbbbf"];

const changes: readonly Change[] = [
  (bytes) => bytes,
  (bytes) => bytes,
  function flipped(bytes, random) {
    const copy = Uint8Array.from(bytes);
    for (let flips = 1 + random.below(8); flips > 0 && copy.length > 0; flips -= 1) {
      copy[random.below(copy.length)]! ^= 1 << random.below(8);
    }
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => insert(bytes, random.below(bytes.length + 1), hex(random.pick(garbage)!)),
  (bytes, random) => insert(bytes, random.below(bytes.length + 1), hex(random.pick(notText)!)),
  (bytes, random) => Buffer.concat([bytes, hex(random.pick(garbage)!)]),
  (_bytes, random) => random.bytes(random.below(64)),
  function repeated(bytes, random) {
    const part = random.pick(partsOf(bytes));
    if (part === undefined) return bytes;
    const at = random.pick(partsOf(bytes))!.start;
    return insert(bytes, random.chance(0.5) ? bytes.length : at, bytes.subarray(part.start, part.end));
  },
  function anotherWireType(bytes, random) {
    const part = random.pick(partsOf(bytes));
    if (part === undefined) return bytes;
    const copy = Uint8Array.from(bytes);
    copy[part.start] = (copy[part.start]! & 0xf8) | random.below(8);
    return copy;
  },
  function longVarint(bytes, random) {
    const part = random.pick(partsOf(bytes));
    if (part === undefined || bytes[part.start]! >= 0x80) return bytes;
    const zeros = Array.from({ length: random.below(10) }, () => 0x80);
    const long = Buffer.from([bytes[part.start]! | 0x80, ...zeros, random.pick([0, 1, 0x10])!]);
    return Buffer.concat([bytes.subarray(0, part.start), long, bytes.subarray(part.start + 1)]);
  },
  function unknownField(bytes, random) {
    const number = 1 + random.below(random.pick([16, 2000, 2 ** 29 - 1])!);
    const field = Buffer.concat([varint(number * 8 + 2), varint(3), Buffer.from("abc")]);
    return insert(bytes, random.pick(partsOf(bytes))?.start ?? 0, field);
  },
  function deep(bytes, random) {
    let inner = Buffer.from(bytes);
    const number = 1 + random.below(8);
    for (let levels = random.pick([10, 90, 110, 300])!; levels > 0; levels -= 1) {
      inner = Buffer.concat([varint(number * 8 + 2), varint(inner.length), inner]);
    }
    return random.chance(0.5) ? inner : Buffer.concat([bytes, inner]);
  },
  (_bytes, random) => Buffer.alloc(random.pick([10, 200, 5000])!, 8 * (1 + random.below(5)) + 3),
  function hugeLength(bytes, random) {
    const part = random.pick(partsOf(bytes).filter(({ content }) => content !== undefined));
    if (part === undefined) return bytes;
    const length = varint(random.pick([2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 1_000_000])!);
    return Buffer.concat([bytes.subarray(0, part.start + 1), length, bytes.subarray(part.content)]);
  },
];

/** Some part of it, or all of it; a part within keeps its length right. */
export function mutatedBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const within = random.pick(partsOf(bytes).filter(({ content }) => content !== undefined));
  if (within === undefined || random.chance(0.5)) return random.pick(changes)!(bytes, random);
  const { start, content, end } = within;
  const tag = new BinaryReader(bytes.subarray(start));
  tag.uint32();
  const inner = mutatedBytes(bytes.subarray(content, end), random);
  const head = bytes.subarray(start, start + tag.pos);
  return Buffer.concat([bytes.subarray(0, start), head, varint(inner.length), inner, bytes.subarray(end)]);
}

/** The fields of well-formed bytes; of others, those before what cannot be read. */
function partsOf(bytes: Uint8Array): Part[] {
  const parts: Part[] = [];
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const start = reader.pos;
      const [number, wireType] = reader.tag();
      const isLong = wireType === WireType.LengthDelimited;
      const content = isLong ? reader.bytes().length : undefined;
      if (!isLong) reader.skip(wireType, number);
      parts.push({ start, end: reader.pos, content: content === undefined ? undefined : reader.pos - content });
    }
  } catch {
    // the rest is no field
  }
  return parts;
}

function insert(bytes: Uint8Array, at: number, more: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}
