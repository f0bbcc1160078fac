/**
 * The outside of a SignSpansRequest: who asks for what, and where its ResourceSpans lie, which are left unread. The tenant is handed back
 * as it was sent: whether the caller may name it is for the service to say.
 */
import { type FieldNames, inField, inMessage, once, refused, unexpectedTag } from "../encoding/wire-error.ts";
import { readString } from "../otlp/text.ts";
import { cursor, type Extent, readBool, readEnum, readExtent, readTag } from "../encoding/wire-reader.ts";

export type SignMode = "INDIVIDUAL" | "LOG";

export interface Batch {
  /** "" where the stream's first message says it. */
  tenantId: string;
  /** Undefined likewise; in a first message that means INDIVIDUAL. */
  mode: SignMode | undefined;
  /** "" where the batch has none. */
  requestId: string;
  /** False where the message does not say it. */
  withAttributes: boolean;
  resourceSpans: Extent[];
}

const requestFields: FieldNames = [undefined, "resource_spans", "tenant_id", "mode", "request_id", "with_attributes"];
const modes: readonly (SignMode | undefined)[] = [undefined, "INDIVIDUAL", "LOG"];
const printableAscii = /^[\x21-\x7e]{0,128}$/;

/** INVALID_ARGUMENT, naming the field, for a message that is not one. */
export function readBatch(bytes: Uint8Array): Batch {
  const c = cursor(bytes);
  const end = bytes.length;
  const resourceSpans: Extent[] = [];
  let tenantId = "";
  let mode: SignMode | undefined;
  let requestId = "";
  let withAttributes = false;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) resourceSpans.push(readExtent(c, end));
      else if (tag === 18) tenantId = readString(c, end);
      else if (tag === 24) mode = modes[readEnum(c, end, modes.length - 1)];
      else if (tag === 34) requestId = checkRequestId(readString(c, end));
      else if (tag === 40) withAttributes = readBool(c, end);
      else throw unexpectedTag(tag, requestFields);
      if (tag !== 10) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inMessage(inField(error, requestFields, tag, tag === 10 ? resourceSpans.length : undefined), "request");
  }
  return { tenantId, mode, requestId, withAttributes, resourceSpans };
}

function checkRequestId(requestId: string): string {
  if (printableAscii.test(requestId)) return requestId;
  throw refused("is at most 128 printable ASCII characters");
}
