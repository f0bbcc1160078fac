/**
 * DER of certificates and revocation lists, made wrong, to the reader of what Node does not tell of them; and where Node takes a certificate,
 * to the rules for peers as if TLS had accepted it, so that only these rules stand in its way.
 */
import { X509Certificate } from "node:crypto";
import { extensionsOf } from "../../../src/auth/certificate/certificate.ts";
import type { Authorities } from "../../../src/auth/certificate/lineage.ts";
import { judgePeer } from "../../../src/auth/certificate/peer.ts";
import { isSignedBy, readRevocationList } from "../../../src/auth/certificate/revocation-list.ts";
import type { Random } from "../../crash/random.ts";
import { msFromNow } from "../../support/from-now.ts";
import { derMutator } from "../../support/mutate-der.ts";
import { derOf, dnsName, newAuthority, uriName } from "../../support/pki.ts";
import type { TargetKind } from "./target.ts";

export const certificates: TargetKind = {
  open() {
    const seeds = makeSeeds();
    return {
      input(random) {
        const { der, read } = seeds.pick(random);
        const next = derMutator(der, random);
        const mutated = random.chance(0.02) ? Buffer.from(random.bytes(random.below(200))) : next();
        return { shown: mutated.toString("hex"), run: () => readAnswer(mutated, read) };
      },
      close() {},
    };
  },
  far: { way: "read", atLeast: 0.05 },
};

interface Seed {
  der: Buffer;
  read(der: Buffer): void;
}

/** Only an Error of the reader's own words is an answer. */
function readAnswer(der: Buffer, read: Seed["read"]): string {
  try {
    read(der);
    return "read";
  } catch (error) {
    const isOurs =
      error instanceof Error &&
      /^DER: |^an extension is there twice$|^is a delta list|^has a critical extension|^is signed neither/.test(
        error.message,
      );
    if (!isOurs) throw error;
    return "refused";
  }
}

function makeSeeds(): { pick(random: Random): Seed } {
  const root = newAuthority({ name: "A" });
  const below = root.intermediate({
    name: "I",
    pathLength: 0,
    permitted: [uriName("example.org"), dnsName("example.org")],
    excluded: [dnsName("not.example.org")],
  });
  const uris = ["spiffe://example.org/ns/fluo/sa/ingest"];
  const leaves = [
    below.issue({ uris, dns: ["a.example.org"], addresses: ["10.0.0.1"], emails: ["a@example.org"], name: "leaf" }),
    below.issue({ dns: Array.from({ length: 20 }, (_, at) => `h${at}.example.org`) }),
    below.issue({ uris, extendedKeyUsage: ["clientAuth", "serverAuth"], keyUsage: null, ca: null }),
  ];
  const authorities: Authorities[] = [
    { entry: { ...named("mesh"), trustDomain: "example.org", dns: [] }, roots: [root.x509], lists: [] },
    { entry: { ...named("web"), trustDomain: undefined, dns: [".example.org"] }, roots: [], lists: [] },
  ];
  const readCertificate = (der: Buffer) => {
    const leaf = certificateOf(der);
    if (leaf !== undefined) judgePeer({ leaf, chain: [below.x509], unverified: undefined }, authorities, msFromNow(0));
    extensionsOf(der);
  };
  const certificateSeeds = [root, below, ...leaves].map(({ x509 }) => ({ der: x509.raw, read: readCertificate }));
  const lists = [root.crl(), root.crl(leaves), root.crl([1n, 2n], { nextUpdate: null })].map((pem) => ({
    der: derOf(pem),
    read: (der: Buffer) => void isSignedBy(readRevocationList(der), root.x509),
  }));
  return { pick: (random) => random.pick(random.chance(0.8) ? certificateSeeds : lists)! };
}

function named(name: string) {
  return { name, line: 1, ca: "ca.pem", crl: undefined };
}

function certificateOf(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
