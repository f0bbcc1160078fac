/**
 * Which entry's authority a certificate descends from. TLS says only that *some* authority of the policy vouches for
 * it, and tells neither which nor over which CAs. Whoever has a CA that two authorities signed could choose the path
 * without the other's name constraints, or past its revocation list. So every path over the CAs that were sent is
 * followed, and all must lead to one entry: then the path of TLS did too.
 */
import type { X509Certificate } from "node:crypto";
import type { RevocationList } from "./authorities.ts";
import { extensionsOf } from "./certificate.ts";
import type { PolicyProblem } from "../policy/text.ts";
import type { CertificatesEntry } from "../policy/trust.ts";

/** An entry of the policy, with the contents of its files. */
export interface Authorities {
  readonly entry: CertificatesEntry;
  readonly roots: readonly X509Certificate[];
  readonly lists: readonly RevocationList[];
}

export interface Sent {
  readonly leaf: X509Certificate;
  /** What was sent above the leaf, in any order. */
  readonly chain: readonly X509Certificate[];
}

/** More CAs above a leaf refuse it. */
export const maxSent = 10;
/** Steps from the leaf to a root, both counted as ends. */
const maxSteps = 5;

/** The one entry whose authority issued the leaf, itself or over CAs that were sent. */
export function issuerOf(sent: Sent, authorities: readonly Authorities[], atMs: number): Authorities {
  if (sent.chain.length > maxSent) throw new Error(`it comes with more than ${maxSent} certificates`);
  const anyPath = pathsOf(sent, { accepts: () => true, maxSteps: maxSent + 1 });
  const [issuer, ...others] = authorities.filter(({ roots }) => anyPath.leadTo(roots));
  if (issuer === undefined) throw new Error("no authority of the policy issued it");
  if (others.length > 0) throw new Error("authorities of more than one entry issued it");
  const goodPath = pathsOf(sent, { accepts: (ca, casBelow) => mayIssue(ca, casBelow, atMs), maxSteps });
  if (!goodPath.leadTo(issuer.roots)) {
    throw new Error(
      `a CA above it is out of its time or its path length, or is none, or is more than ${maxSteps} steps away`,
    );
  }
  return issuer;
}

interface Walk {
  /** Whether a CA may be on the path, given how many CAs are between it and the leaf. */
  accepts(ca: X509Certificate, casBelow: number): boolean;
  maxSteps: number;
}

function pathsOf({ leaf, chain }: Sent, walk: Walk): { leadTo(roots: readonly X509Certificate[]): boolean } {
  const issuedOne = (below: readonly X509Certificate[], ca: X509Certificate, casBelow: number) =>
    below.some((certificate) => isIssuedBy(certificate, ca)) && walk.accepts(ca, casBelow);
  // Levels are steps from the leaf. A CA counts once, where it is nearest: so copies and circles end, and cost little.
  const levels = [[leaf]];
  for (let left = chain; levels.length < walk.maxSteps; ) {
    const casBelow = levels.length - 1;
    const next = left.filter((ca) => issuedOne(levels[casBelow]!, ca, casBelow));
    if (next.length === 0) break;
    left = left.filter((ca) => !next.includes(ca));
    levels.push(next);
  }
  return {
    leadTo: (roots) => levels.some((level, casBelow) => roots.some((root) => issuedOne(level, root, casBelow))),
  };
}

function isIssuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}

/** `checkIssued` has looked at the key usage. */
function mayIssue(ca: X509Certificate, casBelow: number, atMs: number): boolean {
  const { isAuthority, pathLength = casBelow } = extensionsOf(ca.raw);
  return isAuthority && casBelow <= pathLength && isInTime(ca, atMs);
}

/** A time that cannot be read is never. */
export function isInTime(certificate: X509Certificate, atMs: number): boolean {
  return certificate.validFromDate.getTime() <= atMs && atMs < certificate.validToDate.getTime();
}

/**
 * A key that stands in two entries, or a CA of one that a CA of another issued, as a problem: certificates would belong
 * to both.
 */
export function sharedRoots(authorities: readonly Authorities[]): PolicyProblem | undefined {
  for (const { entry, roots } of authorities) {
    const problem = (index: number, text: string) => ({
      line: entry.line,
      text: `certificates ${entry.name}: CA certificate ${index + 1} ${text}`,
    });
    for (const other of authorities) {
      if (other.entry === entry) continue;
      const shared = roots.findIndex((ca) => other.roots.some(({ publicKey }) => publicKey.equals(ca.publicKey)));
      if (shared >= 0) return problem(shared, `has a key of certificates ${other.entry.name} too`);
      const issued = roots.findIndex((ca) => other.roots.some((root) => isIssuedBy(ca, root)));
      if (issued >= 0) return problem(issued, `was issued by one of certificates ${other.entry.name}`);
    }
  }
  return undefined;
}
