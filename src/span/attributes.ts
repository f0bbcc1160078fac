/** A list of attributes, as it gathers while its message is read: at most 128, each key once, written as one sorted object. */
import { membersOf, readKeyValue } from "./any-value.ts";
import type { Entry } from "./json.ts";
import { refused } from "./refusal.ts";
import { type Cursor, readEnd } from "./wire.ts";

const maxAttributes = 128;

export function readAttribute(c: Cursor, end: number, entries: Entry[]): void {
  addAttribute(entries, readKeyValue(c, readEnd(c, end), entries.length));
}

export function addAttribute(entries: Entry[], entry: Entry): void {
  if (entries.length === maxAttributes) throw refused(`a list has at most ${maxAttributes} attributes; leave some out`);
  entries.push(entry);
}

/** The member `"attributes":{…}`, or "" for an empty list. */
export function attributesMember(entries: Entry[]): string {
  return entries.length === 0 ? "" : `"attributes":{${membersOf(entries, "attributes")}}`;
}
