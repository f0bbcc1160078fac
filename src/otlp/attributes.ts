/** A list of attributes, as it is written while its message is read: at most 128, each key once, as one sorted object. */
import { readKeyValue } from "./any-value.ts";
import { type Integrity, takeIntegrity } from "./integrity-attributes.ts";
import { comma, type Json, piece, put, putByte } from "./jcs.ts";
import { closeMembers } from "./jcs-members.ts";
import type { Reader } from "./reader.ts";
import { refused } from "../encoding/wire-error.ts";
import { readEnd } from "../encoding/wire-reader.ts";

export const maxAttributes = 128;

const attributesName = piece('"attributes":{');

/** `count` is how many the list has so far: its member begins with the first one. */
export function readAttribute(c: Reader, end: number, json: Json, count: number): void {
  if (count === 0) put(json, attributesName);
  readKeyValue(c, readEnd(c, end), json);
  if (count === maxAttributes) throw refused(`a list has at most ${maxAttributes} attributes; leave some out`);
}

/** An attribute of a span. Returns whether it belongs to the list: those of its signature are taken out. */
export function readSpanAttribute(c: Reader, end: number, json: Json, count: number, integrity: Integrity): boolean {
  const start = json.at;
  if (count === 0) put(json, attributesName);
  const memberStart = json.at;
  readKeyValue(c, readEnd(c, end), json);
  if (takeIntegrity(json, memberStart, integrity)) {
    c.members.count -= 1;
    json.at = start;
    return false;
  }
  if (count === maxAttributes) throw refused(`a list has at most ${maxAttributes} attributes; leave some out`);
  return true;
}

/** Ends the member of a list of `count` attributes, whose own members are those from `base` on. */
export function closeAttributes(c: Reader, json: Json, base: number, count: number): void {
  if (count === 0) return;
  closeMembers(c.members, base, c.bytes, json, "attributes");
  putByte(json, comma);
}
