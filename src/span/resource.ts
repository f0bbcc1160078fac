/**
 * OTLP's Resource and InstrumentationScope in canonical form. The dropped counts and the entity refs are read, so that nothing malformed
 * or unknown hides in them, and are not covered: common trace stores do not keep them. "" means that nothing is left to cover.
 */
import { attributesMember, readAttribute } from "./attributes.ts";
import { type Entry, joined } from "./json.ts";
import { type FieldNames, inField, once, unexpectedTag } from "./refusal.ts";
import { readJsonString, readString } from "./text.ts";
import { type Cursor, readEnd, readTag, readUint32 } from "./wire.ts";

const resourceFields: FieldNames = [undefined, "attributes", "dropped_attributes_count", "entity_refs"];
const entityRefFields: FieldNames = [undefined, "schema_url", "type", "id_keys", "description_keys"];
const scopeFields: FieldNames = [undefined, "name", "version", "attributes", "dropped_attributes_count"];

/** The resource as an object, or "". */
export function readResource(c: Cursor, end: number): string {
  const attributes: Entry[] = [];
  let entityRefs = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 10:
          readAttribute(c, end, attributes);
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
    throw inField(error, resourceFields, tag, tag === 10 ? attributes.length : tag === 26 ? entityRefs : undefined);
  }
  const member = attributesMember(attributes);
  return member === "" ? "" : `{${member}}`;
}

function checkEntityRef(c: Cursor, end: number): void {
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10 || tag === 18) seen = once(seen, tag >>> 3);
      else if (tag !== 26 && tag !== 34) throw unexpectedTag(tag, entityRefFields);
      readString(c, end);
    }
  } catch (error) {
    throw inField(error, entityRefFields, tag);
  }
}

/** The scope as an object, or "". */
export function readScope(c: Cursor, end: number): string {
  const attributes: Entry[] = [];
  let name = '""';
  let version = '""';
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 10:
          name = readJsonString(c, end);
          break;
        case 18:
          version = readJsonString(c, end);
          break;
        case 26:
          readAttribute(c, end, attributes);
          break;
        case 32:
          readUint32(c, end);
          break;
        default:
          throw unexpectedTag(tag, scopeFields);
      }
      if (tag !== 26) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, scopeFields, tag, tag === 26 ? attributes.length : undefined);
  }
  let members = attributesMember(attributes);
  if (name !== '""') members = joined(members, `"name":${name}`);
  if (version !== '""') members = joined(members, `"version":${version}`);
  return members === "" ? "" : `{${members}}`;
}
