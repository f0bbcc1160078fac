/**
 * Files of certificate authorities and of revocation lists: their text to what they hold, or to what is wrong with
 * them.
 */
import { X509Certificate } from "node:crypto";
import { type PemBlock, readPem } from "../../encoding/pem.ts";
import { extensionsOf, subjectOf } from "./certificate.ts";
import { isSignedBy, readRevocationList, type RevocationListParts } from "./revocation-list.ts";

/** Entries are held against each other pair by pair. */
const maxBlocks = 200;

/** The certificates of a file, each of which must be a CA; or what is wrong, without a name of any. */
export function readAuthorities(pem: string): readonly X509Certificate[] | string {
  return readBlocks(pem, { label: "CERTIFICATE", what: "CA certificate" }, ({ text, der }) => {
    const certificate = new X509Certificate(text);
    if (!certificate.raw.equals(der)) throw new Error("is not in DER");
    extensionsOf(der); // throws for what would refuse every certificate below
    if (!certificate.ca) throw new Error("is not a CA, or its key usage lacks keyCertSign");
    void certificate.publicKey; // throws for a key of an unknown kind
    return certificate;
  });
}

/** The certificates of a file that a TLS client believes, which may be a server's own; or what is wrong. */
export function readCertificates(pem: string): readonly X509Certificate[] | string {
  return readBlocks(pem, { label: "CERTIFICATE", what: "certificate" }, ({ text }) => new X509Certificate(text));
}

export interface RevocationList extends Pick<RevocationListParts, "issuer" | "revoked"> {
  /** For TLS. */
  readonly pem: string;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
}

export interface ListedBy {
  /** CAs of the entry, one of which must have signed each list; undefined if they could not be read. */
  roots: readonly X509Certificate[] | undefined;
  nowMs: number;
}

/** The lists of a file. One that is not current, or that no CA signed, would refuse every certificate of its CA. */
export function readRevocationLists(pem: string, { roots, nowMs }: ListedBy): readonly RevocationList[] | string {
  return readBlocks(pem, { label: "X509 CRL", what: "revocation list" }, ({ text, der }) => {
    const list = readRevocationList(der);
    const times = timesOf(list, nowMs);
    if (roots !== undefined && !isSignedByAny(list, roots)) {
      throw new Error("no CA certificate of its entry signed it; that of an intermediate CA has to stand in ca too");
    }
    return { pem: text, issuer: list.issuer, revoked: list.revoked, ...times };
  });
}

/** Whether a CA signed the list. TLS finds a list by its name, so a CA of another name does not count. */
function isSignedByAny(list: RevocationListParts, roots: readonly X509Certificate[]): boolean {
  return roots.some((ca) => subjectOf(ca.raw) === list.issuer && isSignedBy(list, ca));
}

/** Returns the newest list of each CA, which is the one that counts. */
export function newestOf(lists: readonly RevocationList[]): readonly RevocationList[] {
  const byIssuer = Map.groupBy(lists, ({ issuer }) => issuer);
  return [...byIssuer.values()].map((some) => some.reduce((a, b) => (b.thisUpdateMs > a.thisUpdateMs ? b : a)));
}

function timesOf(
  { thisUpdate, nextUpdate }: RevocationListParts,
  nowMs: number,
): Pick<RevocationList, "thisUpdateMs" | "nextUpdateMs"> {
  if (nextUpdate === undefined) throw new Error("has no nextUpdate, so that nobody could tell when it is out of date");
  if (nextUpdate.getTime() <= nowMs) throw new Error(`is out of date since ${nextUpdate.toISOString()}`);
  if (thisUpdate.getTime() > nowMs) throw new Error(`is of the future: ${thisUpdate.toISOString()}`);
  return { thisUpdateMs: thisUpdate.getTime(), nextUpdateMs: nextUpdate.getTime() };
}

interface Kind {
  label: string;
  what: string;
}

function readBlocks<T>(pem: string, { label, what }: Kind, read: (block: PemBlock) => T): readonly T[] | string {
  const blocks = readPem(pem);
  if (typeof blocks === "string") return blocks;
  if (blocks.length === 0) return `holds no ${what} in PEM`;
  if (blocks.length > maxBlocks) return `holds ${blocks.length} blocks, of at most ${maxBlocks}`;
  const found: T[] = [];
  for (const [index, block] of blocks.entries()) {
    if (block.label !== label) return `block ${index + 1} is labelled ${block.label}, not ${label}`;
    try {
      found.push(read(block));
    } catch (error) {
      return `${what} ${index + 1}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return found;
}
