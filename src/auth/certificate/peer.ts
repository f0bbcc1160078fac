/**
 * Who is at the other end of a TLS connection: the rules for client certificates and X509-SVIDs (X509-SVID §5). Judged
 * once a connection, and anew, from what is kept here, when the policy or its authorities change.
 */
import { hash, type X509Certificate } from "node:crypto";
import { extensionsOf, keyUsageBits, type Names } from "./certificate.ts";
import type { Identity } from "../policy/identity.ts";
import { type Authorities, isInTime, issuerOf, maxSent, type Sent } from "./lineage.ts";
import { isRevokedBy } from "./revocation-list.ts";
import { type SpiffeId, spiffeId } from "./spiffe.ts";

/** What a connection's other end presented. */
export interface PresentedCertificate extends Sent {
  /** Why TLS does not accept it: a code of OpenSSL; undefined where it does. */
  readonly unverified: string | undefined;
}

/** What is asked of a `TLSSocket`. */
export interface PeerSocket {
  readonly authorized: boolean;
  readonly authorizationError?: unknown;
  getPeerX509Certificate?(): X509Certificate | undefined;
}

export type Peer =
  | {
      readonly identity: Identity;
      /** The entry of the policy whose authority issued the certificate. */
      readonly entry: string;
      /** Its notAfter. */
      readonly untilMs: number;
      /** SHA-256 of the certificate, in base64url: what `cnf` of a token names. */
      readonly sha256: string;
    }
  | {
      /** Reason for the log alone, which names nothing of the subject. */
      readonly refused: string;
      /** Whether time is all that it lacks. */
      readonly expired: boolean;
    };

const maxNames = 100;
const expiredCode = "CERT_HAS_EXPIRED";
const dnsName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Undefined where the other end presented nothing. */
export function presentedBy(socket: PeerSocket): PresentedCertificate | undefined {
  const leaf = socket.getPeerX509Certificate?.();
  if (leaf === undefined) return undefined;
  const chain: X509Certificate[] = [];
  // One more than is taken, so that it is seen.
  for (let sent = leaf.issuerCertificate; sent && chain.length <= maxSent; sent = sent.issuerCertificate) {
    chain.push(sent);
  }
  const unverified = socket.authorized ? undefined : String(socket.authorizationError ?? "not verified");
  return { leaf, chain, unverified };
}

/**
 * Never throws. What TLS said stays what it was when the connection began: whoever judges a peer anew also holds the
 * entry against the former one. Without authorities nobody has a peer, so nobody need ask.
 */
export function judgePeer(presented: PresentedCertificate, authorities: readonly Authorities[], nowMs: number): Peer {
  const { leaf, unverified } = presented;
  const untilMs = leaf.validToDate.getTime();
  const expired = nowMs >= untilMs;
  try {
    // OpenSSL gives its last finding, and looks at the times after the root: a stranger's certificate that is over
    // has this code too. So one that is over is judged as it was while it was good.
    const isLate = expired && unverified === expiredCode;
    if (unverified !== undefined && !isLate) throw new Error(`TLS does not accept it: ${unverified}`);
    const found = identityOf(presented, authorities, expired ? untilMs - 1 : nowMs);
    if (expired) return { refused: `it ended at ${leaf.validToDate.toISOString()}`, expired };
    return { ...found, untilMs, sha256: hash("sha256", leaf.raw, "base64url") };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error), expired: false };
  }
}

interface Found {
  identity: Identity;
  entry: string;
}

function identityOf(sent: Sent, authorities: readonly Authorities[], atMs: number): Found {
  if (!isInTime(sent.leaf, atMs)) throw new Error("it is not valid yet");
  const names = namesOf(sent.leaf);
  const spiffe = spiffeOf(names);
  const dns = spiffe ? undefined : dnsOf(names);
  const { entry, lists } = issuerOf(sent, authorities, atMs);
  // TLS has seen to it at the start of the connection; a list may have come since.
  const isRevoked = [sent.leaf, ...sent.chain].some((each) => lists.some((list) => isRevokedBy(list, each)));
  if (isRevoked) throw new Error("it, or a CA above it, is revoked");
  // An entry for DNS names has no trust domain, and neither has a certificate without a SPIFFE id.
  if (entry.trustDomain !== spiffe?.trustDomain) throw new Error(`${entry.name} may not give it its name`);
  if (dns === undefined) return { identity: { kind: "spiffe", id: spiffe!.id }, entry: entry.name };
  if (!dns.every((name) => entry.dns.some((suffix) => name.endsWith(suffix)))) {
    throw new Error(`a DNS name is outside the suffixes of ${entry.name}`);
  }
  return { identity: { kind: "dns", certificates: entry.name, names: dns }, entry: entry.name };
}

/** X509-SVID §4.1, §4.3: a leaf signs what its holder says, and neither certificates nor revocation lists. */
function namesOf(leaf: X509Certificate): Names {
  const { isAuthority, keyUsage, ...names } = extensionsOf(leaf.raw);
  if (isAuthority) throw new Error("it is a CA");
  if (keyUsage === undefined) return names;
  const { digitalSignature, keyCertSign, crlSign } = keyUsageBits;
  if ((keyUsage & digitalSignature) === 0) throw new Error("its key usage has no digitalSignature");
  if ((keyUsage & (keyCertSign | crlSign)) !== 0) throw new Error("its key usage has keyCertSign or cRLSign");
  return names;
}

function spiffeOf({ uris }: Names): SpiffeId | undefined {
  const [uri, ...others] = uris;
  if (uri === undefined) return undefined;
  if (others.length > 0) throw new Error("it has more than one URI");
  const id = spiffeId(uri);
  if (id === undefined) throw new Error("its URI is no SPIFFE id");
  return id;
}

function dnsOf({ dns }: Names): [string, ...string[]] {
  const [first, ...others] = dns.map((name) => name.toLowerCase());
  if (first === undefined) throw new Error("it has neither a URI nor a DNS name, and its subject is not read");
  const names: [string, ...string[]] = [first, ...others];
  if (names.length > maxNames) throw new Error(`it has more than ${maxNames} DNS names`);
  if (!names.every((name) => dnsName.test(name))) throw new Error("a DNS name is none, or has a wildcard");
  return names;
}
