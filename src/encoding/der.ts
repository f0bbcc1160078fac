/**
 * DER (X.690) as certificates have it, read strictly: tags of one byte, lengths that are definite and minimal, each
 * element inside its parent and nothing behind the last. Reads below the elements of one level only when asked, so no
 * input is too deep. Whatever is wrong is an Error.
 */

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly der: Buffer;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  sequence: 0x30,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** Reads the elements that follow each other in the content of another, or in the bytes of a file, one by one. */
export function* eachElementOf(content: Uint8Array): Generator<Element> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    if ((tag & 0x1f) === 0x1f) throw new Error("DER: a tag of more than one byte");
    const { start, length } = lengthAt(bytes, at + 1);
    if (length > bytes.length - start) throw new Error("DER: an element is longer than what holds it");
    const end = start + length;
    yield { tag, content: bytes.subarray(start, end), der: bytes.subarray(at, end) };
    at = end;
  }
}

/** No list that is read whole has more elements. */
const mostElements = 1_000;

export function elementsOf(content: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (const element of eachElementOf(content)) {
    if (elements.length === mostElements) throw new Error(`DER: more than ${mostElements} elements`);
    elements.push(element);
  }
  return elements;
}

/** Where the content starts, and how long it says that it is. */
function lengthAt(bytes: Buffer, at: number): { start: number; length: number } {
  const first = bytes[at];
  if (first === undefined) throw new Error("DER: an element is cut short");
  if (first < 0x80) return { start: at + 1, length: first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) throw new Error("DER: a length that is indefinite or has more than four bytes");
  if (at + count >= bytes.length) throw new Error("DER: an element is cut short");
  const length = bytes.readUIntBE(at + 1, count);
  if (length < 0x80 || bytes[at + 1] === 0) throw new Error("DER: a length that is not minimal");
  return { start: at + 1 + count, length };
}

/** The content of the element, which must be there with this tag; `what` is its name in the error. */
export function contentOf(element: Element | undefined, tag: number, what: string): Buffer {
  if (element?.tag !== tag) throw new Error(`DER: ${what} is not where it belongs`);
  return element.content;
}

/** The content of the only element of the bytes. */
export function onlyContentOf(bytes: Uint8Array, tag: number, what: string): Buffer {
  const [element, ...behind] = elementsOf(bytes);
  if (behind.length > 0) throw new Error(`DER: more follows behind ${what}`);
  return contentOf(element, tag, what);
}

/** FALSE may be written too: DER leaves it out where it is the default, and some issuers do not. */
export function booleanOf(content: Buffer): boolean {
  const value = content.length === 1 ? content[0] : undefined;
  if (value !== 0 && value !== 0xff) throw new Error("DER: a boolean is neither 00 nor ff");
  return value === 0xff;
}

/** A whole number that is not negative and has at most 31 bits. */
export function naturalOf(content: Buffer): number {
  const [first = 0x80, second = 0x80] = content;
  if (content.length > 4 || first > 0x7f || (first === 0 && content.length > 1 && second < 0x80)) {
    throw new Error("DER: a number is negative, too large or not minimal");
  }
  return content.readUIntBE(0, content.length);
}

/** The first eight bits of a bit string, the very first as 0x80. */
export function firstBitsOf(content: Buffer): number {
  const [unused, first = 0] = content;
  const last = content.length > 1 ? content.at(-1)! : 0;
  if (unused === undefined || unused > (content.length > 1 ? 7 : 0) || (last & ((1 << unused) - 1)) !== 0) {
    throw new Error("DER: a bit string says wrongly how many bits it leaves unused");
  }
  return first;
}

/** Forms of times in seconds and in UTC, as RFC 5280 §4.1.2.5 has them. */
const timeForms = new Map<number | undefined, RegExp>([
  [tags.utcTime, /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/],
  [tags.generalizedTime, /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/],
]);

/** Undefined for an element of another tag. */
export function timeOf(element: Element | undefined): Date | undefined {
  const form = timeForms.get(element?.tag);
  if (element === undefined || form === undefined) return undefined;
  const [, year = "", ...rest] = form.exec(element.content.toString("latin1")) ?? [];
  const century = year.length === 4 ? "" : Number(year) < 50 ? "20" : "19";
  const [month, day, hour, minute, second] = rest;
  const text = `${century}${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(text);
  // A 30th of February would be a day of March.
  if (Number.isNaN(date.getTime()) || date.toISOString() !== text) throw new Error("DER: a time is none of this form");
  return date;
}
