/** The pieces of RFC 8785 (JCS) that the canonical form is put together from. */

/** Appends a member or an element, with its comma. */
export function joined(list: string, item: string): string {
  return list === "" ? item : `${list},${item}`;
}

/**
 * A double: ECMAScript's shortest form is RFC 8785's, which writes -0 as 0. What JSON has no number for is a string, as in protobuf's
 * JSON mapping.
 */
export function doubleJson(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** One member of an object that is yet to be sorted. */
export interface Entry {
  key: string;
  /** The key as JSON writes it. */
  name: string;
  /** The value's JSON. */
  value: string;
  /** Its place on the wire. */
  index: number;
}

/** The members sorted by UTF-16 code units, without braces, or the entry whose key is another's. Sorts `entries` in place. */
export function sortedMembers(entries: Entry[]): string | Entry {
  sortByKey(entries);
  let members = "";
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i]!;
    if (i > 0 && entry.key === entries[i - 1]!.key) return entry;
    members += i === 0 ? `${entry.name}:${entry.value}` : `,${entry.name}:${entry.value}`;
  }
  return members;
}

/** Lists are short and often sorted already: insertion beats the general sort up to some 20. */
function sortByKey(entries: Entry[]): void {
  if (entries.length > 20) {
    entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index));
    return;
  }
  for (let i = 1; i < entries.length; i += 1) {
    const entry = entries[i]!;
    let j = i - 1;
    while (j >= 0 && entry.key < entries[j]!.key) {
      entries[j + 1] = entries[j]!;
      j -= 1;
    }
    entries[j + 1] = entry;
  }
}
