/** An entry bundle of C2SP tlog-tiles: entries one behind the other, each after its length as two bytes, big-endian. */

const lengthBytes = 2;

/** Where each entry's length stands, and where the last entry ends; undefined for bytes that end within an entry. */
export function entryOffsets(bundle: Uint8Array): number[] | undefined {
  const offsets = [0];
  let at = 0;
  while (at + lengthBytes <= bundle.length) {
    at += lengthBytes + bundle[at]! * 256 + bundle[at + 1]!;
    offsets.push(at);
  }
  return at === bundle.length ? offsets : undefined;
}

/** The entry at a place in the bundle; undefined where it has none there. */
export function entryAt(bundle: Uint8Array, place: number): Uint8Array | undefined {
  const { [place]: start, [place + 1]: end } = entryOffsets(bundle) ?? [];
  return start === undefined || end === undefined ? undefined : bundle.subarray(start + lengthBytes, end);
}

/** The bundle of its first entries; undefined where it has fewer. */
export function firstEntries(bundle: Uint8Array, count: number): Uint8Array | undefined {
  const end = entryOffsets(bundle)?.[count];
  return end === undefined ? undefined : bundle.subarray(0, end);
}
