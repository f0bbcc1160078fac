/**
 * What the readers of a message share: the cursor over its wire bytes, and the texts that they write. The texts' memory is this thread's,
 * for one message at a time: what is read must be taken out of it before another message is read.
 */
import { type Json, newJson } from "./jcs.ts";
import { type Members, newMembers } from "./jcs-members.ts";
import { type Cursor, cursor } from "../encoding/wire-reader.ts";

export interface Reader extends Cursor {
  /** Of the resource, the scope or the span. */
  readonly json: Json;
  /** Of the span's events and links, which come in the midst of it and may be anywhere on the wire. */
  readonly events: Json;
  readonly links: Json;
  readonly members: Members;
}

const [json, events, links] = [newJson(), newJson(), newJson()];
const members = newMembers();

/** More than this is not kept for the next message. */
const mostBytesKept = 1024 * 1024;

export function reader(bytes: Uint8Array): Reader {
  for (const text of [json, events, links]) {
    text.at = 0;
    if (text.bytes.length > mostBytesKept) Object.assign(text, newJson());
  }
  members.count = 0;
  return { ...cursor(bytes), json, events, links, members };
}
