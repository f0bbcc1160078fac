/**
 * Parts of certificates that Node does not tell, read from their DER (RFC 5280). Node's `subjectAltName` is a text for
 * people, its `ca` is false for a CA whose key usage forbids to sign, and it takes an extension that is there twice.
 * Whatever is wrong is an Error.
 */
import {
  booleanOf,
  contentOf,
  type Element,
  elementsOf,
  firstBitsOf,
  onlyContentOf,
  naturalOf,
  tags,
} from "../../encoding/der.ts";

/** Subject alternative names. Each byte is a character, as nobody has looked at them yet. */
export interface Names {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** Names of other kinds, which nothing reads. */
  readonly others: number;
}

export interface Extensions extends Names {
  /** The first eight bits, as of `keyUsageBits`; undefined without the extension. */
  readonly keyUsage: number | undefined;
  /** Whether it calls itself a CA, whatever its key usage. */
  readonly isAuthority: boolean;
  /** How many CAs may be below this one. */
  readonly pathLength: number | undefined;
}

export const keyUsageBits = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

const none: Extensions = {
  uris: [],
  dns: [],
  others: 0,
  keyUsage: undefined,
  isAuthority: false,
  pathLength: undefined,
};

/** By OID, in hexadecimal. */
const readers = new Map<string, (value: Buffer) => Partial<Extensions>>([
  ["551d11", (value) => namesIn(elementsOf(onlyContentOf(value, tags.sequence, "the subject's names")))],
  ["551d0f", (value) => ({ keyUsage: firstBitsOf(onlyContentOf(value, tags.bits, "the key usage")) })],
  ["551d13", (value) => basicConstraints(onlyContentOf(value, tags.sequence, "the basic constraints"))],
]);

export function extensionsOf(der: Uint8Array): Extensions {
  const certificate = elementsOf(onlyContentOf(der, tags.sequence, "the certificate"));
  checkForm(certificate, /^303003$/, "the certificate");
  const parts = elementsOf(certificate[0]!.content);
  checkForm(parts, /^(a0)?023030303030(81)?(82)?(a3)?$/, "the certificate");
  const last = parts.at(-1)!;
  if (last.tag !== 0xa3) return none;
  const seen = new Set<string>();
  let found = none;
  for (const extension of elementsOf(onlyContentOf(last.content, tags.sequence, "the list of extensions"))) {
    const { id, value } = readExtension(extension);
    if (seen.has(id)) throw new Error("an extension is there twice");
    seen.add(id);
    found = { ...found, ...readers.get(id)?.(value) };
  }
  return found;
}

export function checkForm(elements: readonly Element[], form: RegExp, what: string): void {
  if (!form.test(Buffer.from(elements.map(({ tag }) => tag)).toString("hex"))) {
    throw new Error(`DER: ${what} has other parts than RFC 5280 gives it`);
  }
}

/** Reads an extension: its OID in hexadecimal, and its value. */
export function readExtension(extension: Element): { id: string; isCritical: boolean; value: Buffer } {
  const parts = elementsOf(contentOf(extension, tags.sequence, "an extension"));
  checkForm(parts, /^06(01)?04$/, "an extension");
  const [id, critical] = parts;
  const isCritical = parts.length === 3 && booleanOf(critical!.content);
  return { id: id!.content.toString("hex"), isCritical, value: parts.at(-1)!.content };
}

/** The tags of general names (RFC 5280 §4.2.1.6) but those of URIs (0x86) and of DNS names (0x82). */
const otherNames = [0xa0, 0x81, 0xa3, 0xa4, 0xa5, 0x87, 0x88];

function namesIn(elements: readonly Element[]): Names {
  const of = (wanted: number) =>
    elements.filter(({ tag }) => tag === wanted).map(({ content }) => content.toString("latin1"));
  const others = elements.filter(({ tag }) => otherNames.includes(tag)).length;
  const names = { uris: of(0x86), dns: of(0x82), others };
  if (names.uris.length + names.dns.length + others < elements.length)
    throw new Error("DER: a name of an unknown kind");
  return names;
}

function basicConstraints(content: Buffer): Partial<Extensions> {
  const parts = elementsOf(content);
  checkForm(parts, /^(01)?(02)?$/, "the extension of basic constraints");
  const [flag, length] = [parts.find(({ tag }) => tag === tags.boolean), parts.find(({ tag }) => tag === tags.integer)];
  return {
    isAuthority: flag !== undefined && booleanOf(flag.content),
    pathLength: length && naturalOf(length.content),
  };
}

/** A certificate's subject, to be held against the issuer of a revocation list. Of a certificate that was read. */
export function subjectOf(der: Uint8Array): string {
  const [, , , subject] = bodyOf(der).filter(({ tag }) => tag === tags.sequence);
  return nameIn(subject!.content);
}

/** A certificate's issuer, as `subjectOf` gives it, and its serial number in hexadecimal. Of a certificate that was read. */
export function issueOf(der: Uint8Array): { issuer: string; serial: string } {
  const parts = bodyOf(der);
  const [, issuer] = parts.filter(({ tag }) => tag === tags.sequence);
  const serial = parts.find(({ tag }) => tag === tags.integer)!;
  return { issuer: nameIn(issuer!.content), serial: serial.content.toString("hex") };
}

/** Returns a name as OpenSSL compares it (RFC 5280 §7.1): whatever the types of its texts, in lower case, with single blanks. */
export function nameIn(content: Uint8Array): string {
  const attributes = elementsOf(content).flatMap((set) => elementsOf(set.content));
  return attributes
    .map((attribute) => {
      const [id, value] = elementsOf(attribute.content);
      return `${id?.content.toString("hex")}=${value === undefined ? "" : textIn(value)}`;
    })
    .join("\n");
}

const [utf8String, bmpString] = [0x0c, 0x1e];
/** Tags of texts with a byte for each character. */
const byteStrings = [0x12, 0x13, 0x14, 0x16, 0x1a];

function textIn({ tag, content, der }: Element): string {
  const encoding = tag === utf8String ? "utf8" : byteStrings.includes(tag) ? "latin1" : undefined;
  if (tag !== bmpString && encoding === undefined) return der.toString("hex");
  const isWhole = content.length % 2 === 0;
  const text = encoding ? content.toString(encoding) : isWhole ? Buffer.from(content).swap16().toString("utf16le") : "";
  const blanks = text.replaceAll(/[ \t\n\v\f\r]+/g, " ").replaceAll(/^ | $/g, "");
  return blanks.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()); // of ASCII alone
}

function bodyOf(der: Uint8Array): Element[] {
  const [body] = elementsOf(onlyContentOf(der, tags.sequence, "the certificate"));
  return elementsOf(body!.content);
}
