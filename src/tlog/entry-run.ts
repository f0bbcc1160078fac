/**
 * Entries of a log that came together have one text, but for a few places where each shows bytes of its own in hex. They are a run: the text
 * once, and of each entry those bytes. A span's entry of 330 bytes takes 56 there.
 *
 * Packed, as a store keeps it, a run is two zero bytes, its count, the length of its form, the number of its places, the places, the form and
 * the bytes. Numbers are of two bytes, big-endian, but for the number of places and the bytes that each shows, which are of one.
 */
import { viewOf, writeHex } from "../encoding/digits.ts";

export interface EntryRun {
  /** An entry, whatever it has in the places: at most 65,535 bytes. */
  form: Uint8Array;
  /** By ascending offset. */
  places: readonly HexPlace[];
  /** How many entries it has. */
  count: number;
  /** The bytes that each shows, place by place, one entry behind the other. */
  shown: Uint8Array;
}

export interface HexPlace {
  /** Offset in the form. */
  at: number;
  /** Of which each takes two characters there. */
  bytes: number;
}

const lengthBytes = 2;
const [maxTwoBytes, maxOneByte] = [0xffff, 0xff];
const headBytes = 4 * 2 - 1;
const placeBytes = 3;

/** An entry alone, whatever it says. */
export function singleEntry(entry: Uint8Array): EntryRun {
  return { form: entry, places: [], count: 1, shown: new Uint8Array() };
}

/** Whether its parts fit to each other. */
export function isRun({ form, places, count, shown }: EntryRun): boolean {
  if (form.length > maxTwoBytes || places.length > maxOneByte || shown.length !== count * shownBytes(places))
    return false;
  let end = 0;
  for (const { at, bytes } of places) {
    if (at < end || bytes > maxOneByte) return false;
    end = at + 2 * bytes;
  }
  return end <= form.length;
}

/** Entries number `from` to before `to` of a run. Views, not copies. */
export function partOfRun(run: EntryRun, from: number, to: number): EntryRun {
  const each = shownBytes(run.places);
  return { ...run, count: to - from, shown: run.shown.subarray(from * each, to * each) };
}

/** Each of at most 65,535 entries. */
export function packRuns(runs: readonly EntryRun[]): Uint8Array {
  const packed = Buffer.allocUnsafeSlow(sum(runs.map(packedBytes)));
  let at = 0;
  for (const { form, places, count, shown } of runs) {
    at = packed.writeUInt16BE(0, at);
    at = packed.writeUInt16BE(count, at);
    at = packed.writeUInt16BE(form.length, at);
    at = packed.writeUInt8(places.length, at);
    for (const place of places) at = packed.writeUInt8(place.bytes, packed.writeUInt16BE(place.at, at));
    packed.set(form, at);
    packed.set(shown, at + form.length);
    at += form.length + shown.length;
  }
  return packed;
}

/**
 * Undefined for bytes that are not runs. Whatever does not begin with two zero bytes is an entry behind its length, as in a bundle: that is
 * how entries were kept before there were runs. Views, not copies.
 */
export function unpackRuns(packed: Uint8Array): EntryRun[] | undefined {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  const runs: EntryRun[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + lengthBytes > bytes.length) return undefined;
    const length = bytes.readUInt16BE(at);
    const run = length > 0 ? entryIn(bytes, at + lengthBytes, length) : runIn(bytes, at);
    if (run === undefined) return undefined;
    runs.push(run);
    at += length > 0 ? lengthBytes + length : packedBytes(run);
  }
  return runs;
}

function entryIn(bytes: Buffer, start: number, length: number): EntryRun | undefined {
  const end = start + length;
  return end > bytes.length ? undefined : singleEntry(bytes.subarray(start, end));
}

function runIn(bytes: Buffer, start: number): EntryRun | undefined {
  if (start + headBytes > bytes.length) return undefined;
  const [count, formBytes] = [bytes.readUInt16BE(start + 2), bytes.readUInt16BE(start + 4)];
  const placesAt = start + headBytes;
  const formAt = placesAt + bytes.readUInt8(placesAt - 1) * placeBytes;
  if (formAt > bytes.length) return undefined;
  const places: HexPlace[] = [];
  for (let at = placesAt; at < formAt; at += placeBytes) {
    places.push({ at: bytes.readUInt16BE(at), bytes: bytes.readUInt8(at + 2) });
  }
  const shownAt = formAt + formBytes;
  const shown = bytes.subarray(shownAt, shownAt + count * shownBytes(places));
  const run = { form: bytes.subarray(formAt, shownAt), places, count, shown };
  return run.form.length === formBytes && isRun(run) ? run : undefined;
}

/** The entries of runs as a bundle of C2SP tlog-tiles, in memory of its own. */
export function bundleOf(runs: readonly EntryRun[]): Uint8Array {
  const bundle = new Uint8Array(sum(runs.map(({ form, count }) => count * (lengthBytes + form.length))));
  const view = viewOf(bundle);
  let at = 0;
  for (const { form, places, count, shown } of runs) {
    let from = 0;
    for (let entry = 0; entry < count; entry += 1) {
      view.setUint16(at, form.length);
      at += lengthBytes;
      bundle.set(form, at);
      from = showIn(view, at, places, shown, from);
      at += form.length;
    }
  }
  return bundle;
}

/** Writes what one entry shows, from `from` on, into its text at `at`. Returns what is behind it. */
export function showIn(
  text: DataView,
  at: number,
  places: readonly HexPlace[],
  shown: Uint8Array,
  from: number,
): number {
  let next = from;
  for (const place of places) {
    writeHex(text, at + place.at, shown, next, next + place.bytes);
    next += place.bytes;
  }
  return next;
}

function packedBytes({ form, places, shown }: EntryRun): number {
  return headBytes + places.length * placeBytes + form.length + shown.length;
}

/** Of one entry. */
function shownBytes(places: readonly HexPlace[]): number {
  return sum(places.map(({ bytes }) => bytes));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
