/**
 * Revocation lists as DER (RFC 5280 §5), which Node does not read: their names and times, and whether a CA signed them. TLS
 * takes any list of the right name, and refuses every certificate of the CA if it then cannot use it. So a list that it
 * could not use is an Error here.
 */
import { constants, verify, type VerifyKeyObjectInput, type X509Certificate } from "node:crypto";
import { contentOf, eachElementOf, type Element, elementsOf, onlyContentOf, tags, timeOf } from "../../encoding/der.ts";
import { checkForm, extensionsOf, issueOf, keyUsageBits, nameIn, readExtension } from "./certificate.ts";

export interface RevocationListParts {
  /** The name of the CA, as `subjectOf` gives it. */
  readonly issuer: string;
  readonly thisUpdate: Date;
  /** Undefined if the list does not say. */
  readonly nextUpdate: Date | undefined;
  readonly signature: Signature;
  /** Serial numbers of the revoked certificates, in hexadecimal. */
  readonly revoked: ReadonlySet<string>;
}

interface Signature {
  /** DER of the list that is signed. */
  readonly of: Buffer;
  /** Content of the algorithm: its OID and its parameters. */
  readonly algorithm: Buffer;
  readonly bytes: Buffer;
}

/** Reads a list. Throws for a list that TLS does not apply by itself. */
export function readRevocationList(der: Uint8Array): RevocationListParts {
  const list = elementsOf(onlyContentOf(der, tags.sequence, "the revocation list"));
  checkForm(list, /^303003$/, "the revocation list");
  const [signed, algorithm, bits] = list as [Element, Element, Element];
  const parts = elementsOf(signed.content);
  checkForm(parts, /^(02)?3030(17|18)(17|18)?(30)?(a0)?$/, "the revocation list");
  const at = parts.findIndex(({ tag }) => tag === tags.utcTime || tag === tags.generalizedTime);
  if (!parts[at - 2]!.content.equals(algorithm.content)) throw new Error("DER: two algorithms of one signature");
  if (bits.content[0] !== 0) throw new Error("DER: a signature that does not end with a byte");
  const last = parts.at(-1)!;
  if (last.tag === 0xa0) checkExtensions(last.content);
  return {
    issuer: nameIn(parts[at - 1]!.content),
    thisUpdate: timeOf(parts[at])!,
    nextUpdate: timeOf(parts[at + 1]),
    revoked: serialsIn(parts.slice(at).find(({ tag }) => tag === tags.sequence)?.content),
    signature: { of: signed.der, algorithm: algorithm.content, bytes: bits.content.subarray(1) },
  };
}

function serialsIn(revoked: Buffer = Buffer.alloc(0)): ReadonlySet<string> {
  const serials = new Set<string>();
  for (const { content } of eachElementOf(revoked)) {
    const { value: serial } = eachElementOf(content).next();
    serials.add(contentOf(serial, tags.integer, "a serial number").toString("hex"));
  }
  return serials;
}

const deltaIndicator = "551d1b";
const distributionPoint = "551d1c";
/** Tags of a distribution point that is for some reasons, for certificates of other CAs, or for attributes alone. */
const unappliedPoints = [0x83, 0x84, 0x85];
/** Critical extensions that OpenSSL applies: the issuing distribution point and the authority's key identifier. */
const applied = [distributionPoint, "551d23"];

function checkExtensions(content: Buffer): void {
  for (const extension of elementsOf(onlyContentOf(content, tags.sequence, "the list of extensions"))) {
    const { id, isCritical, value } = readExtension(extension);
    if (id === deltaIndicator) throw new Error("is a delta list, which TLS does not apply: name the complete list");
    if (isCritical && !applied.includes(id)) throw new Error("has a critical extension that TLS does not apply");
    if (id === distributionPoint) {
      const point = elementsOf(onlyContentOf(value, tags.sequence, "the distribution point"));
      const isPartial = point.some(
        ({ tag, content }) => unappliedPoints.includes(tag) && content.some((byte) => byte > 0),
      );
      if (isPartial) throw new Error("is a partial or indirect list, which TLS does not apply: name the complete list");
    }
  }
}

/** True if the CA may sign lists, and its key signed this one. */
export function isSignedBy({ signature }: RevocationListParts, ca: X509Certificate): boolean {
  const { keyUsage = keyUsageBits.crlSign } = extensionsOf(ca.raw);
  if ((keyUsage & keyUsageBits.crlSign) === 0) return false;
  const { hash, padding } = methodOf(signature.algorithm);
  const key: VerifyKeyObjectInput = { key: ca.publicKey, ...padding };
  try {
    return verify(hash, signature.of, key, signature.bytes);
  } catch {
    return false; // the key is of another kind than the algorithm
  }
}

/** True if the list names the certificate. */
export function isRevokedBy(
  { issuer, revoked }: Pick<RevocationListParts, "issuer" | "revoked">,
  certificate: X509Certificate,
): boolean {
  const id = issueOf(certificate.raw);
  return id.issuer === issuer && revoked.has(id.serial);
}

interface Method {
  hash: string | null;
  padding?: { padding: number; saltLength: number };
}

/** By OID, in hexadecimal. */
const methods = new Map<string, Method>([
  ["2a864886f70d01010b", { hash: "sha256" }],
  ["2a864886f70d01010c", { hash: "sha384" }],
  ["2a864886f70d01010d", { hash: "sha512" }],
  ["2a8648ce3d040302", { hash: "sha256" }],
  ["2a8648ce3d040303", { hash: "sha384" }],
  ["2a8648ce3d040304", { hash: "sha512" }],
  ["2b6570", { hash: null }],
  ["2b6571", { hash: null }],
]);
const rsaPss = "2a864886f70d01010a";
const hashes = new Map([
  ["608648016503040201", "sha256"],
  ["608648016503040202", "sha384"],
  ["608648016503040203", "sha512"],
]);

function methodOf(algorithm: Buffer): Method {
  const [id, parameters] = elementsOf(algorithm);
  const oid = contentOf(id, tags.oid, "the signature's algorithm").toString("hex");
  const method = oid === rsaPss ? pssMethod(parameters) : methods.get(oid);
  if (method !== undefined) return method;
  throw new Error("is signed neither by RSA nor ECDSA with SHA-256, SHA-384 or SHA-512, nor by Ed25519 or Ed448");
}

/** The hash stands first (RFC 4055 §3.1), and that of the mask is the same in use. */
function pssMethod(parameters: Element | undefined): Method | undefined {
  const [hash] = elementsOf(contentOf(parameters, tags.sequence, "the parameters of RSA-PSS"));
  if (hash?.tag !== 0xa0) return undefined; // SHA-1, by default
  const [oid] = elementsOf(onlyContentOf(hash.content, tags.sequence, "the hash of RSA-PSS"));
  const name = hashes.get(contentOf(oid, tags.oid, "the hash of RSA-PSS").toString("hex"));
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  return name === undefined ? undefined : { hash: name, padding };
}
