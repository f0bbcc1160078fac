/**
 * The messages of an OTLP trace export, and a request to verify a span, as one table of their fields: the wire, JSON and the canonical
 * form are read and written by it. A message that was read is a Map from the names of its fields to their values.
 */

/** The type of a field that is no message. Lists are the names of an enum, whose numbers count from 0. */
export type Scalar =
  | ("text" | "bytes" | "traceId" | "spanId")
  | ("bool" | "double" | "int64" | "uint32" | "fixed32" | "fixed64")
  | readonly string[];

export interface Field {
  /** The name in JSON. The proto's name is the same in snake_case, and JSON may have that instead. */
  name: string;
  number: number;
  type: Scalar | (() => MessageType);
  isList: boolean;
  /** Whether the canonical form has it. */
  isSigned: boolean;
}

export interface MessageType {
  byNumber: ReadonlyMap<number, Field>;
  /** Found by either name. */
  byName: ReadonlyMap<string, Field>;
  /** A fault in such a message is that of its spans alone: on the wire it is read when its value is called. */
  isApart: boolean;
  /** Its fields are the members of a oneof: a message has one at most. */
  isChoice: boolean;
}

/** Integers and numbers of enums are bigint, ids are bytes of any length. */
export type Value = string | bigint | number | boolean | Uint8Array | Message | (() => Message) | readonly Value[];
export type Message = ReadonlyMap<string, Value>;

type Column = Omit<Field, "name">;

const one = (number: number, type: Field["type"]): Column => ({ number, type, isList: false, isSigned: true });
const many = (number: number, type: Field["type"]): Column => ({ number, type, isList: true, isSigned: true });
const unsigned = (column: Column): Column => ({ ...column, isSigned: false });

function messageType(columns: Record<string, Column>, { isApart = false, isChoice = false } = {}): MessageType {
  const fields = Object.entries(columns).map(([name, column]): Field => ({ name, ...column }));
  const inProto = ({ name }: Field) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return {
    byNumber: new Map(fields.map((field) => [field.number, field])),
    byName: new Map(fields.flatMap((field) => [field.name, inProto(field)].map((name) => [name, field]))),
    isApart,
    isChoice,
  };
}

const anyValue: MessageType = messageType(
  {
    stringValue: one(1, "text"),
    boolValue: one(2, "bool"),
    intValue: one(3, "int64"),
    doubleValue: one(4, "double"),
    arrayValue: one(5, () => arrayValue),
    kvlistValue: one(6, () => keyValueList),
    bytesValue: one(7, "bytes"),
  },
  { isChoice: true },
);
const arrayValue: MessageType = messageType({ values: many(1, () => anyValue) });
const keyValueList: MessageType = messageType({ values: many(1, () => keyValue) });
export const keyValue: MessageType = messageType({ key: one(1, "text"), value: one(2, () => anyValue) });
const attributes = (number: number) => many(number, () => keyValue);

const entityRef = messageType({
  schemaUrl: one(1, "text"),
  type: one(2, "text"),
  idKeys: many(3, "text"),
  descriptionKeys: many(4, "text"),
});
export const resource: MessageType = messageType(
  {
    attributes: attributes(1),
    droppedAttributesCount: unsigned(one(2, "uint32")),
    entityRefs: unsigned(many(3, () => entityRef)),
  },
  { isApart: true },
);
export const scope: MessageType = messageType(
  {
    name: one(1, "text"),
    version: one(2, "text"),
    attributes: attributes(3),
    droppedAttributesCount: unsigned(one(4, "uint32")),
  },
  { isApart: true },
);
const event = messageType({
  timeUnixNano: one(1, "fixed64"),
  name: one(2, "text"),
  attributes: attributes(3),
  droppedAttributesCount: one(4, "uint32"),
});
const link = messageType({
  traceId: one(1, "traceId"),
  spanId: one(2, "spanId"),
  traceState: one(3, "text"),
  attributes: attributes(4),
  droppedAttributesCount: one(5, "uint32"),
  flags: unsigned(one(6, "fixed32")),
});
const status = messageType({
  message: one(2, "text"),
  code: one(3, ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]),
});
const kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].map(
  (kind) => `SPAN_KIND_${kind}`,
);
export const span: MessageType = messageType(
  {
    traceId: one(1, "traceId"),
    spanId: one(2, "spanId"),
    traceState: one(3, "text"),
    parentSpanId: one(4, "spanId"),
    name: one(5, "text"),
    kind: one(6, kinds),
    startTimeUnixNano: one(7, "fixed64"),
    endTimeUnixNano: one(8, "fixed64"),
    attributes: attributes(9),
    droppedAttributesCount: one(10, "uint32"),
    events: many(11, () => event),
    droppedEventsCount: one(12, "uint32"),
    links: many(13, () => link),
    droppedLinksCount: one(14, "uint32"),
    status: one(15, () => status),
    flags: unsigned(one(16, "fixed32")),
  },
  { isApart: true },
);
const scopeSpans = messageType({
  scope: one(1, () => scope),
  spans: many(2, () => span),
  schemaUrl: one(3, "text"),
});
export const resourceSpans: MessageType = messageType(
  { resource: one(1, () => resource), scopeSpans: many(2, () => scopeSpans), schemaUrl: one(3, "text") },
  { isApart: true },
);
export const tracesData: MessageType = messageType({ resourceSpans: many(1, () => resourceSpans) });

const signedStatement = messageType({ statement: one(1, "bytes"), signature: one(2, "bytes") });
const logProof = messageType({ statement: one(1, "bytes"), proof: one(2, "text") });
export const verifySpanRequest: MessageType = messageType({
  tenantId: one(1, "text"),
  span: one(2, "bytes"),
  resource: one(3, "bytes"),
  scope: one(4, "bytes"),
  signedStatement: one(5, () => signedStatement),
  logProof: one(6, () => logProof),
});
