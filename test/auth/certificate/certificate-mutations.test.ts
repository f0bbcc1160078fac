/**
 * Certificates and revocation lists made wrong at random. `MUTATIONS=1000000 MUTATION_SEED=7 npx vitest run
 * test/auth/certificate-mutations.test.ts` tries as many as wanted.
 */
import { sign, X509Certificate } from "node:crypto";
import { expect, it } from "vitest";
import { extensionsOf } from "../../../src/auth/certificate/certificate.ts";
import type { Authorities } from "../../../src/auth/certificate/lineage.ts";
import { judgePeer } from "../../../src/auth/certificate/peer.ts";
import { isSignedBy, readRevocationList } from "../../../src/auth/certificate/revocation-list.ts";
import { elementsOf } from "../../../src/encoding/der.ts";
import { randomFrom } from "../../crash/random.ts";
import { bits, integer, sequence } from "../../support/der-writer.ts";
import { msFromNow } from "../../support/from-now.ts";
import { derMutator } from "../../support/mutate-der.ts";
import { derOf, extension, newAuthority, pemOf } from "../../support/pki.ts";

const count = Number(process.env.MUTATIONS ?? 50_000);
const seed = Number(process.env.MUTATION_SEED ?? 1);
const authority = newAuthority({ name: "A" });
const intermediate = authority.intermediate({ name: "I" });
const uri = "spiffe://example.org/ns/fluo/sa/ingest";
const leaf = intermediate.issue({ uris: [uri], dns: ["a.example.org"], addresses: ["10.0.0.1"], name: "leaf" });
const dnsLeaf = intermediate.issue({ dns: ["a.example.org", "b.example.org"] });
const entries = (["trust-domain", "dns"] as const).map((kind): Authorities => {
  const entry = { name: kind, line: 1, ca: "ca.pem", crl: undefined };
  const names =
    kind === "dns" ? { trustDomain: undefined, dns: [".example.org"] } : { trustDomain: "example.org", dns: [] };
  return { entry: { ...entry, ...names }, roots: [authority.x509], lists: [] };
});

function certificateOf(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(pemOf("CERTIFICATE", der));
  } catch {
    return undefined;
  }
}

/** As if TLS had accepted it: so that only our rules stand in its way. */
function identityOf(certificate: X509Certificate, entry: Authorities): unknown {
  const peer = judgePeer(
    { leaf: certificate, chain: [intermediate.x509], unverified: undefined },
    [entry],
    msFromNow(0),
  );
  return "identity" in peer ? peer.identity : undefined;
}

const list = authority.crl([leaf], { extensions: [extension("2.5.29.20", integer(7))] });
const { signature } = readRevocationList(derOf(list));

/** Throws for a list whose signed part is another, and that is taken for the authority's. */
function readList(der: Buffer): void {
  const read = readRevocationList(der);
  if (isSignedBy(read, authority.x509) && !read.signature.of.equals(signature.of)) throw new Error("a forgery");
}

it(`${count} mutations: DER is read, or refused by an Error that says why`, () => {
  const random = randomFrom(seed);
  const certificates = derMutator(leaf.x509.raw, random);
  const lists = derMutator(derOf(list), random);
  const seen = { read: 0, refused: 0 };
  for (let tried = 0; tried < count; tried += 1) {
    const [read, next] = random.chance(0.8) ? [extensionsOf, certificates] : [readList, lists];
    const mutated = next();
    try {
      read(mutated);
      seen.read += 1;
    } catch (error) {
      seen.refused += 1;
      const isOurs =
        error instanceof Error &&
        /^DER: |^an extension is there twice$|^is a delta list|^has a critical extension|^is signed neither/.test(
          error.message,
        );
      if (!isOurs) throw new Error(`${mutated.toString("hex")}: ${String(error)}`);
    }
  }
  expect(seen.read).toBeGreaterThan(count / 100);
  expect(seen.refused).toBeGreaterThan(count / 10);
});

it(`${count / 10} mutations: a certificate that was changed has no other identity than before`, () => {
  const random = randomFrom(seed + 1);
  const cases = (
    [
      [leaf, entries[0]!],
      [dnsLeaf, entries[1]!],
    ] as const
  ).map(([{ x509 }, entry]) => {
    return { entry, before: identityOf(x509, entry), next: derMutator(x509.raw, random) };
  });
  expect(cases[0]!.before).toEqual({ kind: "spiffe", id: uri });
  let parsed = 0;
  for (let tried = 0; tried < count / 10; tried += 1) {
    const { entry, before, next } = cases[tried % 2]!;
    const certificate = certificateOf(next());
    if (certificate === undefined) continue;
    parsed += 1;
    const identity = identityOf(certificate, entry);
    if (identity !== undefined) expect(identity).toEqual(before);
  }
  expect(parsed).toBeGreaterThan(count / 1000);
});

it(`${count / 25} mutations: one that its CA signed has the identity that OpenSSL reads too, or none`, () => {
  const random = randomFrom(seed + 2);
  const [body, algorithm] = elementsOf(elementsOf(leaf.x509.raw)[0]!.content).map(({ tag, content }) =>
    Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]),
  );
  const next = derMutator(body!, random);
  const identities = new Set<string>();
  for (let tried = 0; tried < count / 25; tried += 1) {
    const mutated = next();
    const signature = sign("sha256", mutated, intermediate.keys.privateKey);
    const certificate = certificateOf(sequence(mutated, algorithm!, bits(signature)));
    if (certificate === undefined) continue;
    for (const [entry, kind] of [
      [entries[0]!, "URI"],
      [entries[1]!, "DNS"],
    ] as const) {
      const identity = identityOf(certificate, entry) as { id?: string; names?: string[] } | undefined;
      const names = identity?.names ?? (identity?.id === undefined ? [] : [identity.id]);
      if (names.length === 0) continue; // Node throws for names that OpenSSL cannot write
      const read = certificate.subjectAltName?.toLowerCase().split(", ") ?? [];
      for (const name of names) expect(read).toContain(`${kind.toLowerCase()}:${name.toLowerCase()}`);
      identities.add(names.join());
    }
  }
  expect(identities).toContain(uri);
});

function lengthOf(length: number): Buffer {
  return length < 0x80 ? Buffer.from([length]) : Buffer.from([0x82, length >>> 8, length & 0xff]);
}
