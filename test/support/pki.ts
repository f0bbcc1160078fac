/**
 * Certificate authorities, certificates and revocation lists, made by Node alone: good ones, and any kind of bad one
 * (RFC 5280). Keys are of P-256. What is not asked for is as an X509-SVID has it.
 *
 *     const ca = newAuthority({ name: "root" });
 *     const { certificate, key, chain } = ca.issue({ uris: ["spiffe://example.org/ns/fluo/sa/ingest"] });
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { bits, boolean, element, integer, namedBits, octets, oid, sequence, set, time, utf8 } from "./der-writer.ts";
import { fromNow } from "./from-now.ts";

export interface CertificateOptions {
  /** Common names of the subject: none in a leaf, a random one in a CA. */
  name?: string | readonly string[];
  /** Subject alternative names, in this order. */
  uris?: readonly string[];
  dns?: readonly string[];
  emails?: readonly string[];
  /** IPv4. */
  addresses?: readonly string[];
  /** Further ones, as DER. */
  otherNames?: readonly Uint8Array[];
  /** The first octet: digitalSignature is 0x80, keyCertSign 0x04, cRLSign 0x02. Null leaves the extension out. */
  keyUsage?: number | null;
  /** `clientAuth` in a leaf. An empty list leaves the extension out. */
  extendedKeyUsage?: readonly (keyof typeof purposes)[];
  /** Null leaves the extension out. */
  ca?: boolean | null;
  pathLength?: number;
  /** Name constraints: general names, as of `dnsName` and `uriName`. */
  permitted?: readonly Uint8Array[];
  excluded?: readonly Uint8Array[];
  /** An hour ago; of a CA 30 days. */
  from?: Date;
  /** In a day; of a CA in 30. */
  until?: Date;
  serial?: bigint;
  /** Further ones, each made by `extension`. */
  extensions?: readonly Uint8Array[];
  /** A key that is there already, for a certificate that is made anew or by another authority. */
  keys?: Keys;
  /** Signed by another key than the issuer's. */
  forged?: boolean;
}

export interface Keys {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

export interface Issued {
  /** PEM of the certificate alone. */
  certificate: string;
  /** PEM of its private key. */
  key: string;
  /** PEM of the certificate and of each CA up to, but not with, the root: what is presented. */
  chain: string;
  keys: Keys;
  serial: bigint;
  x509: X509Certificate;
}

export interface Authority extends Issued {
  /** PEM of its certificate: what somebody trusts. */
  pem: string;
  issue(options?: CertificateOptions): Issued;
  /** A CA that this one issues, or another's again where it is given that one's name and keys. */
  intermediate(options?: CertificateOptions): Authority;
  /** PEM of its revocation list: current, and for a day. */
  crl(revoked?: readonly (bigint | Issued)[], options?: ListOptions): string;
}

export interface ListOptions {
  thisUpdate?: Date;
  nextUpdate?: Date | null;
  /** Each made by `extension`. */
  extensions?: readonly Uint8Array[];
}

interface Issuer {
  subject: Uint8Array;
  privateKey: KeyObject;
  /** PEM of the CAs above what it issues. */
  above: string;
}

const purposes = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  any: "2.5.29.37.0",
};
const hour = 3_600_000;
const day = 24 * hour;
const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"));

/** A root, signed by itself. */
export function newAuthority(options: CertificateOptions = {}): Authority {
  return authority({ ...ofAuthority(), ...options }, undefined);
}

export function newKeys(): Keys {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

export function extension(id: string, value: Uint8Array, { critical = false } = {}): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

export const uriName = (text: string) => element(0x86, Buffer.from(text, "latin1"));
export const dnsName = (text: string) => element(0x82, Buffer.from(text, "latin1"));
const emailName = (text: string) => element(0x81, Buffer.from(text, "latin1"));
const addressName = (text: string) => element(0x87, Buffer.from(text.split(".").map(Number)));

/** PEM of any DER. */
export function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** DER of the only block. */
export function derOf(pem: string): Buffer<ArrayBuffer> {
  return Buffer.from(pem.replace(/-----.*-----/g, ""), "base64");
}

function authority(options: CertificateOptions, issuer: Issuer | undefined): Authority {
  const issued = issue(options, issuer);
  const self: Issuer = {
    subject: nameOf(options.name),
    privateKey: issued.keys.privateKey,
    above: issuer === undefined ? "" : issued.chain,
  };
  return {
    ...issued,
    pem: issued.certificate,
    issue: (leaf = {}) => issue(leaf, self),
    intermediate: (further = {}) => authority({ ...ofAuthority(), ...further }, self),
    crl: (revoked = [], options = {}) => revocationList(self, revoked, options),
  };
}

function issue(options: CertificateOptions, issuer: Issuer | undefined): Issued {
  const { keys = newKeys(), serial = randomSerial() } = options;
  const subject = nameOf(options.name);
  const signer = options.forged ? newKeys().privateKey : (issuer?.privateKey ?? keys.privateKey);
  const der = signed(signer, [
    element(0xa0, integer(2)),
    integer(serial),
    ecdsaWithSha256,
    issuer?.subject ?? subject,
    sequence(time(options.from ?? fromNow(-hour)), time(options.until ?? fromNow(day))),
    subject,
    keys.publicKey.export({ type: "spki", format: "der" }),
    ...extensionsOf(options),
  ]);
  const certificate = pemOf("CERTIFICATE", der);
  return {
    certificate,
    keys,
    serial,
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    chain: certificate + (issuer?.above ?? ""),
    x509: new X509Certificate(certificate),
  };
}

function signed(privateKey: KeyObject, parts: readonly Uint8Array[]): Buffer {
  const body = sequence(...parts);
  return sequence(body, ecdsaWithSha256, bits(sign("sha256", body, privateKey)));
}

function extensionsOf(options: CertificateOptions): Uint8Array[] {
  const { ca = false, keyUsage = 0x80, extendedKeyUsage = ["clientAuth"], pathLength, extensions = [] } = options;
  const names = namesOf(options);
  const all = [
    ca !== null && extension("2.5.29.19", basicConstraints(ca, pathLength), { critical: true }),
    keyUsage !== null && extension("2.5.29.15", namedBits(keyUsage), { critical: true }),
    extendedKeyUsage.length > 0 &&
      extension("2.5.29.37", sequence(...extendedKeyUsage.map((purpose) => oid(purposes[purpose])))),
    names.length > 0 && extension("2.5.29.17", sequence(...names), { critical: options.name === undefined }),
    nameConstraints(options),
    ...extensions,
  ].filter((each) => each !== false);
  return all.length === 0 ? [] : [element(0xa3, sequence(...all))];
}

function namesOf({ uris = [], dns = [], emails = [], addresses = [], otherNames = [] }: CertificateOptions) {
  const names = [uris.map(uriName), dns.map(dnsName), emails.map(emailName), addresses.map(addressName), otherNames];
  return names.flat();
}

function basicConstraints(ca: boolean, pathLength: number | undefined): Buffer {
  return sequence(...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)]));
}

function nameConstraints({ permitted = [], excluded = [] }: CertificateOptions): Buffer | false {
  const subtrees = (tag: number, names: readonly Uint8Array[]) =>
    names.length === 0 ? [] : [element(tag, ...names.map((name) => sequence(name)))];
  const both = [...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded)];
  return both.length > 0 && extension("2.5.29.30", sequence(...both), { critical: true });
}

function nameOf(names: string | readonly string[] = []): Buffer {
  return sequence(...[names].flat().map((name) => set(sequence(oid("2.5.4.3"), utf8(name)))));
}

function revocationList(
  { subject, privateKey }: Issuer,
  revoked: readonly (bigint | Issued)[],
  options: ListOptions,
): string {
  const { thisUpdate = fromNow(-hour), nextUpdate = fromNow(day), extensions = [] } = options;
  const serials = revoked.map((each) => (typeof each === "bigint" ? each : each.serial));
  const list = serials.map((serial) => sequence(integer(serial), time(thisUpdate)));
  const der = signed(privateKey, [
    ...[integer(1), ecdsaWithSha256, subject, time(thisUpdate)],
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(list.length === 0 ? [] : [sequence(...list)]),
    ...(extensions.length === 0 ? [] : [element(0xa0, sequence(...extensions))]),
  ]);
  return pemOf("X509 CRL", der);
}

/** Older than what it issues, and valid for longer. */
function ofAuthority(): CertificateOptions {
  return {
    name: `authority ${randomBytes(6).toString("hex")}`,
    ca: true,
    keyUsage: 0x06,
    extendedKeyUsage: [],
    from: fromNow(-30 * day),
    until: fromNow(30 * day),
  };
}

function randomSerial(): bigint {
  return BigInt(`0x${randomBytes(8).toString("hex")}`) + 1n;
}
