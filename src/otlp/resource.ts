/**
 * OTLP's Resource and InstrumentationScope in canonical form. The dropped counts and the entity refs are read, so that nothing malformed
 * or unknown hides in them, and are not covered: common trace stores do not keep them. Nothing is written where nothing is left to cover.
 */
import { closeAttributes, readAttribute } from "./attributes.ts";
import { putStringField, stringAt } from "./fields.ts";
import { closeUnlessEmpty, type Json, makeRoom, openObject, piece, putByte } from "./jcs.ts";
import type { Reader } from "./reader.ts";
import { type FieldNames, inField, once, unexpectedTag } from "../encoding/wire-error.ts";
import { checkString } from "./text.ts";
import { type Cursor, readEnd, readTag, readUint32 } from "../encoding/wire-reader.ts";

const resourceFields: FieldNames = [undefined, "attributes", "dropped_attributes_count", "entity_refs"];
const entityRefFields: FieldNames = [undefined, "schema_url", "type", "id_keys", "description_keys"];
const scopeFields: FieldNames = [undefined, "name", "version", "attributes", "dropped_attributes_count"];

const nameMember = piece('"name":');
const versionMember = piece('"version":');

/** Writes the resource as an object; nothing where nothing of it is covered. */
export function readResource(c: Reader, end: number, json: Json): void {
  makeRoom(json, end - c.at);
  const start = json.at;
  const base = c.members.count;
  let attributes = 0;
  let entityRefs = 0;
  let seen = 0;
  let tag = 0;
  putByte(json, openObject);
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 10:
          readAttribute(c, end, json, attributes);
          attributes += 1;
          break;
        case 16:
          seen = once(seen, 2);
          readUint32(c, end);
          break;
        case 26:
          checkEntityRef(c, readEnd(c, end));
          entityRefs += 1;
          break;
        default:
          throw unexpectedTag(tag, resourceFields);
      }
    }
  } catch (error) {
    throw inField(error, resourceFields, tag, tag === 10 ? attributes : tag === 26 ? entityRefs : undefined);
  }
  closeAttributes(c, json, base, attributes);
  closeUnlessEmpty(json, start);
}

function checkEntityRef(c: Cursor, end: number): void {
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10 || tag === 18) seen = once(seen, tag >>> 3);
      else if (tag !== 26 && tag !== 34) throw unexpectedTag(tag, entityRefFields);
      checkString(c, end);
    }
  } catch (error) {
    throw inField(error, entityRefFields, tag);
  }
}

/** Writes the scope likewise. */
export function readScope(c: Reader, end: number, json: Json): void {
  makeRoom(json, end - c.at);
  const start = json.at;
  const base = c.members.count;
  let attributes = 0;
  let nameAt = 0;
  let versionAt = 0;
  let seen = 0;
  let tag = 0;
  putByte(json, openObject);
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 10:
          nameAt = stringAt(c, end);
          break;
        case 18:
          versionAt = stringAt(c, end);
          break;
        case 26:
          readAttribute(c, end, json, attributes);
          attributes += 1;
          continue;
        case 32:
          readUint32(c, end);
          break;
        default:
          throw unexpectedTag(tag, scopeFields);
      }
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, scopeFields, tag, tag === 26 ? attributes : undefined);
  }
  closeAttributes(c, json, base, attributes);
  putStringField(c, json, nameMember, nameAt);
  putStringField(c, json, versionMember, versionAt);
  closeUnlessEmpty(json, start);
  c.at = end;
}
