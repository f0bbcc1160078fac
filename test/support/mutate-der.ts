/** DER made wrong at random: bytes and bits, lengths, and whole elements that are left out, copied, moved or grown. */
import type { Random } from "../crash/random.ts";
import { element } from "./der-writer.ts";

interface Part {
  start: number;
  /** Where its content starts. */
  content: number;
  end: number;
}

type Change = (der: Buffer, part: Part, random: Random) => Uint8Array[];

const changes: readonly Change[] = [
  (der, { start }, random) => [der.subarray(0, start), random.bytes(1), der.subarray(start + 1)],
  (der, { start }, random) => [der.subarray(0, start + 1), random.bytes(1), der.subarray(start + 2)],
  (der, { start }, random) => [der.subarray(0, start), random.bytes(random.below(4)), der.subarray(start)],
  (der, { start }, random) => [der.subarray(0, start), der.subarray(start + random.below(4))],
  (der, { start, end }) => [der.subarray(0, start), der.subarray(end)],
  (der, { start, end }) => [der.subarray(0, end), der.subarray(start)],
  (der, { end }) => [der.subarray(0, end)],
  function longerLength(der, { start, content, end }) {
    const length = end - content;
    const long = Buffer.from([der[start]!, 0x83, length >>> 16, length >>> 8, length]);
    return [der.subarray(0, start), long, der.subarray(content)];
  },
  (der, { start, end }, random) => [
    der.subarray(0, start),
    element(random.pick([0x30, 0x04, 0x82, 0x86, 0xa3])!, der.subarray(start, end)),
    der.subarray(end),
  ],
  function flipped(der, { content, end }, random) {
    const copy = Buffer.from(der);
    const at = content + random.below(Math.max(1, end - content));
    if (at < copy.length) copy[at]! ^= 1 << random.below(8);
    return [copy];
  },
];

/** One change, or a few. The lengths around what grew or shrank are set right half of the time. */
export function derMutator(der: Uint8Array, random: Random): () => Buffer {
  const original = Buffer.from(der);
  const originalParts = partsOf(original, 0, original.length);

  function changed(bytes: Buffer, parts: readonly Part[]): Buffer {
    const part = random.pick(parts) ?? { start: 0, content: 0, end: bytes.length };
    const result = Buffer.concat(random.pick(changes)!(bytes, part, random));
    if (random.chance(0.5)) setLengths(result, parts, part, result.length - bytes.length);
    return random.chance(0.2) ? changed(result, partsOf(result, 0, result.length)) : result;
  }

  return () => changed(original, originalParts);
}

/** Every element of well-formed DER, at any depth, those in octet strings too; of other bytes what looks like one. */
function partsOf(der: Buffer, start: number, end: number): Part[] {
  const parts: Part[] = [];
  for (let at = start; at + 2 <= end; ) {
    const count = der[at + 1]! > 0x80 ? Math.min(der[at + 1]! & 0x7f, 3) : 0;
    const content = at + 2 + count;
    if (content > end) break;
    const length = count === 0 ? der[at + 1]! : der.readUIntBE(at + 2, count);
    const stop = content + length;
    if (stop > end) break;
    parts.push({ start: at, content, end: stop });
    if ((der[at]! & 0x20) !== 0 || der[at] === 0x04) parts.push(...partsOf(der, content, stop));
    at = stop;
  }
  return parts;
}

/** Where the new length has as many bytes as the old one had. */
function setLengths(der: Buffer, parts: readonly Part[], changed: Part, by: number): void {
  for (const { start, content, end } of parts) {
    if (start >= changed.start || end < changed.end) continue;
    const [length, count] = [end - content + by, content - start - 2];
    if (count === 0 && length >= 0 && length < 0x80) der[start + 1] = length;
    else if (count > 0 && length > 0 && length < 2 ** (8 * count)) der.writeUIntBE(length, start + 2, count);
  }
}
