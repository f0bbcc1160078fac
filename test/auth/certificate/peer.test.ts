/**
 * Client certificates, good and bad. What TLS says of them is asked of real connections; what is judged without TLS is
 * said to be.
 */
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authorities, sharedRoots } from "../../../src/auth/certificate/lineage.ts";
import { judgePeer, type Peer, presentedBy } from "../../../src/auth/certificate/peer.ts";
import { readRevocationList } from "../../../src/auth/certificate/revocation-list.ts";
import type { CertificatesEntry } from "../../../src/auth/policy/trust.ts";
import { oid, sequence } from "../../support/der-writer.ts";
import { fromNow, msFromNow, secondsFromNow } from "../../support/from-now.ts";
import {
  type Authority,
  type CertificateOptions,
  derOf,
  extension,
  type Issued,
  newAuthority,
  pemOf,
  uriName,
} from "../../support/pki.ts";
import type { ClientCertificate } from "../../support/running-service.ts";

const hour = 3_600_000;
const id = "spiffe://example.org/ns/fluo/sa/ingest";
const spiffe = newAuthority({ name: "A" });
const other = newAuthority({ name: "B" });
const web = newAuthority({ name: "W" });
const stranger = newAuthority({ name: "S" });

const mesh = entryOf("mesh", { trustDomain: "example.org" }, spiffe);
const far = entryOf("far", { trustDomain: "other.org" }, other);
const names = entryOf("web", { dns: [".internal.example.org", ".svc.cluster.local"] }, web);
const all = [mesh, far, names];

function entryOf(name: string, names: Partial<CertificatesEntry>, ...authorities: Authority[]): Authorities {
  const entry = { name, line: 1, ca: `${name}.pem`, crl: undefined, trustDomain: undefined, dns: [], ...names };
  return { entry, roots: authorities.map(({ x509 }) => x509), lists: [] };
}

let server: Awaited<ReturnType<typeof startPresentedServer>>;

beforeAll(async () => {
  server = await startPresentedServer({ ca: [spiffe.pem, other.pem, web.pem] });
});

afterAll(() => server.stop());

/** Over TLS. */
async function judged(client: ClientCertificate, authorities: readonly Authorities[] = all): Promise<Peer> {
  return judgedNow((await server.presented(client))!, authorities);
}

/** As it is presented to a service now. */
function judgedNow(presented: Parameters<typeof judgePeer>[0], authorities: readonly Authorities[]): Peer {
  return judgePeer(presented, authorities, msFromNow(0));
}

/** Without TLS, as if TLS had accepted it: so that nothing but our own rules refuses. */
function judgedAlone(
  { x509 }: Issued,
  chain: readonly Authority[] = [],
  authorities = all,
  nowMs = msFromNow(0),
): Peer {
  return judgePeer({ leaf: x509, chain: chain.map((ca) => ca.x509), unverified: undefined }, authorities, nowMs);
}

/** By the authority of the trust domain. */
const svid = (options: CertificateOptions = {}) => spiffe.issue({ uris: [id], ...options });

/** A leaf that comes with these, in this order. */
function sentWith(leaf: Issued, ...chain: readonly Authority[]): ClientCertificate {
  return { key: leaf.key, chain: [leaf, ...chain].map(({ certificate }) => certificate).join("") };
}

function refusal(reason: RegExp, expired = false) {
  return { refused: expect.stringMatching(reason), expired };
}

const asSpiffe = { identity: { kind: "spiffe", id }, entry: "mesh" };
const asDns = (...names: string[]) => ({ identity: { kind: "dns", certificates: "web", names }, entry: "web" });
const past = { from: fromNow(-2 * hour), until: fromNow(-hour) };
const future = { from: fromNow(hour), until: fromNow(2 * hour) };
const local = "a.svc.cluster.local";

function intermediates(root: Authority, count: number): Authority[] {
  const made: Authority[] = [];
  for (let above = root; made.length < count; made.push(above)) above = above.intermediate();
  return made;
}

const ofLength = (length: number) =>
  `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(length - 3 * 64 - 18)}.svc.cluster.local`;
const many = (count: number) => Array.from({ length: count }, (_, at) => `a${at}.svc.cluster.local`);
const copies = (count: number) => sentWith(svid(), ...Array<Authority>(count).fill(stranger));
const below = (count: number) =>
  intermediates(spiffe, count)
    .at(-1)!
    .issue({ uris: [id] });
const much = { name: ["one", "spiffe://example.org/two"], addresses: ["10.0.0.1"], emails: ["root@example.org"] };
const [upper] = intermediates(spiffe, 1);
const lower = upper!.intermediate({ name: "lower" });
const lowest = lower.issue({ uris: [id] });

describe("a certificate that is accepted", () => {
  it("is an X509-SVID by its trust domain's authority, until its end", async () => {
    const until = new Date("2049-01-02T03:04:05Z");
    const leaf = svid({ until });
    expect(await judged(leaf)).toEqual({
      ...asSpiffe,
      untilMs: until.getTime(),
      sha256: createHash("sha256").update(leaf.x509.raw).digest("base64url"),
    });
  });

  it.each<[what: string, client: ClientCertificate]>([
    [
      "may lack the extended key usage, the key usage and the basic constraints",
      svid({ extendedKeyUsage: [], keyUsage: null, ca: null }),
    ],
    ["may have another key usage beside digitalSignature", svid({ keyUsage: 0xa8 })],
    ["may have any subject, IP addresses and e-mail addresses: they are not read", svid(much)],
    [
      "attack 34: with a URI and DNS names is taken as SPIFFE, the DNS names unread",
      svid({ dns: ["admin.example.org", "*", "a\0b"] }),
    ],
    ["comes with its intermediates", sentWith(lowest, lower, upper!)],
    ["comes with them in any order", sentWith(lowest, upper!, lower)],
    ["comes with the root", sentWith(lowest, lower, upper!, spiffe)],
    ["comes with copies and a stranger's", sentWith(lowest, lower, lower, upper!, stranger)],
    ["comes as it was issued", lowest],
    ["is five steps from its root at most", below(4)],
    ["comes with at most ten others", copies(10)],
  ])("%s", async (_, client) => {
    expect(await judged(client)).toMatchObject(asSpiffe);
  });

  it.each([
    [["B.Internal.Example.ORG", "b.svc.cluster.local"]],
    [[local]],
    [["a.b.c.svc.cluster.local"]],
    [["a_b-c.svc.cluster.local"]],
    [["0.svc.cluster.local"]],
    [["xn--bcher-kva.svc.cluster.local"]],
    [[`${"a".repeat(63)}.svc.cluster.local`]],
    [[ofLength(253)]],
    [many(100)],
  ])("is one with DNS names by an entry for them, in lower case and in their order: %j", async (dns) => {
    expect(await judged(web.issue({ dns, ...much }))).toMatchObject(asDns(...dns.map((name) => name.toLowerCase())));
  });

  it("may be by any key of its entry, and by a certificate of a key that was made anew", async () => {
    const second = newAuthority({ name: "second" });
    const renewed = newAuthority({ name: "A", keys: spiffe.keys, until: fromNow(1000 * hour) });
    const both = entryOf("mesh", { trustDomain: "example.org" }, second, renewed);
    for (const authority of [spiffe, second]) {
      expect(judgedAlone(authority.issue({ uris: [id] }), [], [both, names])).toMatchObject(asSpiffe);
    }
  });
});

it("no certificate is no peer", async () => {
  expect(await server.presented()).toBeUndefined();
  expect(presentedBy({ authorized: false })).toBeUndefined();
});

const by = (options: CertificateOptions) => spiffe.intermediate(options).issue({ uris: [id] });
const right = spiffe.intermediate({ name: "I" });
const wrong = other.intermediate({ name: "I" });
const crossing = wrong.issue({ uris: [id] });
const noSpiffeId = /no SPIFFE id/;
const noNames = /neither a URI nor a DNS name/;
const twoUris = /more than one URI/;
const notGiven = (entry: string) => new RegExp(`^${entry} may not give it its name$`);

describe("a certificate is refused:", () => {
  it.each<[what: string, client: ClientCertificate, reason: RegExp]>([
    ["attack 33: of an unknown CA", stranger.issue({ uris: [id] }), /: UNABLE_TO_VERIFY_LEAF_SIGNATURE$/],
    [
      "of an unknown CA of a known name",
      newAuthority({ name: "A" }).issue({ uris: [id] }),
      /: CERT_SIGNATURE_FAILURE$/,
    ],
    ["self-signed", newAuthority({ uris: [id], ca: false, keyUsage: 0x80 }), /: DEPTH_ZERO_SELF_SIGNED_CERT$/],
    ["forged", svid({ forged: true }), /: CERT_SIGNATURE_FAILURE$/],
    ["not valid yet", svid(future), /: CERT_NOT_YET_VALID$/],
    ["for servers", svid({ extendedKeyUsage: ["serverAuth"] }), /: INVALID_PURPOSE$/],
    ["for any purpose", svid({ extendedKeyUsage: ["any"] }), /: INVALID_PURPOSE$/],
    ["with its names twice", svid({ extensions: [subjectNames("spiffe://example.org/b")] }), /TLS/],
    [
      "with a critical extension that nobody knows",
      svid({ extensions: [extension("1.2.3.4", sequence(), { critical: true })] }),
      /TLS/,
    ],
    ["of a CA that is none", by({ ca: false, keyUsage: 0x80 }), /TLS/],
    ["of a CA whose key usage forbids to sign", by({ keyUsage: 0x80 }), /TLS/],
    ["of a CA for servers", by({ extendedKeyUsage: ["serverAuth"] }), /: INVALID_PURPOSE$/],
    ["of a CA that has ended", by(past), /: CERT_HAS_EXPIRED$/],
    ["of a CA for other names", by({ permitted: [uriName("other.org")] }), /TLS/],
    [
      "of a CA below one that allows none",
      intermediates(spiffe.intermediate({ pathLength: 0 }), 1)[0]!.issue({ uris: [id] }),
      /PATH_LENGTH/,
    ],
    ["attack 33: a CA, though TLS accepts it", svid({ ca: true, keyUsage: 0x86 }), /it is a CA/],
    ["a CA that may not sign", svid({ ca: true, keyUsage: 0x80 }), /it is a CA/],
    ["with a key usage of keyCertSign", svid({ keyUsage: 0x84 }), /keyCertSign or cRLSign/],
    ["with a key usage of cRLSign", svid({ keyUsage: 0x82 }), /keyCertSign or cRLSign/],
    [
      "with an extension twice",
      svid({ extensions: [1, 2].map(() => extension("1.2.3.4", sequence())) }),
      /there twice/,
    ],
    ["more than five steps from its root", below(5), /more than 5 steps/],
    ["with more than ten others", copies(11), /more than 10/],
    ["attack 34: with two URIs", svid({ uris: [id, "spiffe://example.org/ns/fluo/sa/admin"] }), twoUris],
    ["with a URI twice", svid({ uris: [id, id] }), twoUris],
    ["with a URI of another scheme beside it", svid({ uris: [id, "https://example.org/"] }), twoUris],
    ["with a URI inside another", svid({ uris: [`${id}, URI:spiffe://example.org/ns/fluo/sa/admin`] }), noSpiffeId],
    ["with an empty URI", svid({ uris: [""] }), noSpiffeId],
    ["with a NUL in its URI", svid({ uris: [`${id}\0.evil.org`] }), noSpiffeId],
    ["with a URI of another scheme", svid({ uris: ["https://example.org/ns/fluo/sa/ingest"] }), noSpiffeId],
    ["attack 35: with an upper-case domain", svid({ uris: [id.replace("example", "Example")] }), noSpiffeId],
    [
      "with no SPIFFE id, which is not passed over for DNS names",
      web.issue({ uris: ["https://a"], dns: [local] }),
      noSpiffeId,
    ],
    ["attack 36: of one domain by the authority of another", other.issue({ uris: [id] }), notGiven("far")],
    [
      "by an intermediate that calls itself as the right root does",
      other.intermediate({ name: "A" }).issue({ uris: [id] }),
      /^far may not|TLS/,
    ],
    ["of a domain that no entry has", svid({ uris: ["spiffe://third.org/x"] }), notGiven("mesh")],
    ["of a domain below one", svid({ uris: ["spiffe://x.example.org/x"] }), notGiven("mesh")],
    ["attack 37: with a SPIFFE id by the CA for DNS names", web.issue({ uris: [id], dns: [local] }), notGiven("web")],
    ["with a DNS name by a trust domain's CA", spiffe.issue({ dns: [local] }), notGiven("mesh")],
    ["attack 38: with a common name alone", spiffe.issue({ name: id }), noNames],
    ["with a common name that is a DNS name", web.issue({ name: local }), noNames],
    ["with several common names", web.issue({ name: ["x", local] }), noNames],
    ["with other kinds of names", web.issue({ emails: [`a@${local}`], addresses: ["10.0.0.1"] }), noNames],
    ["with more than a hundred DNS names", web.issue({ dns: many(101) }), /more than 100 DNS names/],
  ])("%s", async (_, client, reason) => {
    expect(await judged(client)).toEqual(refusal(reason));
  });

  it.each([0, 0x08, 0x7f])(
    "with a key usage without digitalSignature, also where TLS does not see it: %i",
    async (keyUsage) => {
      const leaf = svid({ keyUsage });
      expect(await judged(leaf)).toEqual(refusal(/no digitalSignature|^TLS/));
      expect(judgedAlone(leaf)).toEqual(refusal(/no digitalSignature/));
    },
  );

  it.each([[[wrong]], [[wrong, right]], [[right, wrong]], [[wrong, spiffe]], [[wrong, other, right, spiffe]]])(
    "attack 36: by an intermediate of another authority, also with the chain of the right one: %#",
    async (chain) => {
      expect(await judged(sentWith(crossing, ...chain))).toEqual(
        refusal(/^far may not give it its name$|: CERT_SIGNATURE_FAILURE$/),
      );
      expect(judgedAlone(crossing, chain)).toEqual(refusal(notGiven("far")));
    },
  );

  const labels = ["*", "a*", "", "a.", "evil.org\0", "bücher", "a b", "a:b", "a-", "-a", "a".repeat(64)];
  it.each([
    ...labels.map((label) => `${label}.svc.cluster.local`),
    `${local}.`,
    `${local}\0.evil.org`,
    `${local}\n`,
    `${local}, DNS:b.svc.cluster.local`,
    ofLength(254),
    "",
  ])("with what is no DNS name, alone or beside one: %j", async (name) => {
    for (const dns of [[name], [local, name]]) {
      expect(await judged(web.issue({ dns }))).toEqual(refusal(/^a DNS name is none/));
    }
  });

  it.each(["a.example.com", "a.xsvc.cluster.local", "svc.cluster.local", `${local}.evil.org`])(
    "with a DNS name outside the suffixes, alone or beside one: %s",
    async (name) => {
      for (const dns of [[name], [local, name], [name, local]]) {
        expect(await judged(web.issue({ dns }))).toEqual(refusal(/^a DNS name is outside the suffixes of web$/));
      }
    },
  );

  it("with a DNS name that only another entry may give", () => {
    const second = newAuthority({ name: "second" });
    const entries = [...all, entryOf("second", { dns: [".second.org"] }, second)];
    expect(judgedAlone(second.issue({ dns: ["a.second.org"] }), [], entries)).toMatchObject({
      identity: { kind: "dns", certificates: "second", names: ["a.second.org"] },
      entry: "second",
    });
    expect(judgedAlone(second.issue({ dns: [local] }), [], entries)).toEqual(
      refusal(/^a DNS name is outside the suffixes of second$/),
    );
  });

  it("once its CA revoked it, and any where a list is missing or out of date", async () => {
    const [good, revoked] = [svid(), svid()];
    const old = { thisUpdate: past.from, nextUpdate: past.until };
    const lists: [string, Issued, string | undefined][] = [
      [spiffe.crl([revoked]), good, undefined],
      [spiffe.crl([revoked]), revoked, "CERT_REVOKED"],
      [spiffe.crl([], old), good, "CRL_HAS_EXPIRED"],
      [other.crl(), good, "UNABLE_TO_GET_CRL"],
    ];
    for (const [crl, leaf, unverified] of lists) {
      const revoking = await startPresentedServer({ ca: [spiffe.pem, other.pem], crl: [crl] });
      const presented = (await revoking.presented(leaf))!;
      expect(presented.unverified).toBe(unverified);
      const peer = unverified === undefined ? asSpiffe : refusal(new RegExp(`: ${unverified}$`));
      expect(judgedNow(presented, all)).toMatchObject(peer);
      await revoking.stop();
    }
  });

  it("where a list revokes it, or a CA above it, after TLS has accepted it", () => {
    const above = spiffe.intermediate();
    const [leaf, sound] = [above.issue({ uris: [id] }), above.issue({ uris: [id] })];
    const under = (pem: string) => {
      const list = { pem, thisUpdateMs: 0, nextUpdateMs: 0, ...readRevocationList(derOf(pem)) };
      return [{ ...mesh, lists: [list] }];
    };
    expect(judgedAlone(leaf, [above], under(above.crl([leaf])))).toEqual(refusal(/^it, or a CA above it, is/));
    expect(judgedAlone(sound, [above], under(above.crl([leaf])))).toMatchObject(asSpiffe);
    expect(judgedAlone(sound, [above], under(spiffe.crl([above])))).toEqual(refusal(/is revoked$/));
  });
});

function subjectNames(...uris: string[]): Uint8Array {
  return extension("2.5.29.17", sequence(...uris.map(uriName)));
}

describe("the end of a certificate", () => {
  it("attack 33: refuses it, and is told apart where nothing else is wrong", async () => {
    for (const over of [svid(past), web.issue({ dns: [local], ...past })]) {
      expect((await server.presented(over))!.unverified).toBe("CERT_HAS_EXPIRED");
      expect(await judged(over)).toEqual(refusal(/^it ended at /, true));
    }
  });

  it.each([
    ["a stranger", stranger.issue({ uris: [id], ...past }), /^no authority of the policy issued it$/],
    ["a forger", svid({ forged: true, ...past }), /^no authority of the policy issued it$/],
    ["another domain's", other.issue({ uris: [id], ...past }), notGiven("far")],
    ["one with two names", svid({ uris: [id, id], ...past }), twoUris],
  ])("is not what %s is told, of whom TLS says just the same", async (_, over, reason) => {
    expect((await server.presented(over))!.unverified).toBe("CERT_HAS_EXPIRED");
    expect(await judged(over)).toEqual(refusal(reason));
  });

  it("does not make another refusal of TLS good, and is TLS's word alone where it gives no reason", () => {
    const presented = { leaf: svid(past).x509, chain: [], unverified: "CERT_REVOKED" };
    expect(judgedNow(presented, all)).toEqual(refusal(/: CERT_REVOKED$/));
    const { x509 } = svid();
    const without = presentedBy({ authorized: false, getPeerX509Certificate: () => x509 })!;
    expect(judgedNow(without, all)).toEqual(refusal(/: not verified$/));
  });

  it("attack 39: and its beginning are held against the clock whenever it is judged", async () => {
    const from = new Date(secondsFromNow(0) * 1000);
    const until = new Date(from.getTime() + hour);
    const presented = (await server.presented(svid({ from, until })))!;
    const at = (ms: number) => judgePeer(presented, all, ms);
    expect(at(from.getTime() - 1)).toEqual(refusal(/not valid yet/));
    expect(at(from.getTime())).toMatchObject(asSpiffe);
    expect(at(until.getTime() - 1)).toMatchObject({ ...asSpiffe, untilMs: until.getTime() });
    expect(at(until.getTime())).toEqual(refusal(/^it ended at /, true));
    expect(at(until.getTime() + 1000 * hour)).toEqual(refusal(/^it ended at /, true));
  });
});

describe("attack 36: an intermediate that two authorities signed", () => {
  it("of which one limits its names", async () => {
    const theirs = other.intermediate({ name: "I" });
    const limited = spiffe.intermediate({ name: "I", keys: theirs.keys, permitted: [uriName("nothing.org")] });
    const leaf = theirs.issue({ uris: [id] });
    const presented = (await server.presented(sentWith(leaf, theirs, limited)))!;
    expect(presented.unverified).toBeUndefined(); // along the path without the limit
    expect(judgedNow(presented, all)).toEqual(refusal(/^authorities of more than one entry issued it$/));
    expect(await judged(sentWith(leaf, limited, theirs))).toEqual(refusal(/more than one entry|TLS/));
    const deep = theirs.intermediate().issue({ uris: [id] });
    expect(judgedAlone(deep, [theirs.intermediate(), theirs, limited])).toEqual(refusal(/no authority/));
  });

  it("of which one revoked it", async () => {
    const theirs = web.intermediate({ name: "I" });
    const crossed = other.intermediate({ name: "I", keys: theirs.keys });
    const crl = [web.crl([theirs]), other.crl(), theirs.crl()];
    const revoking = await startPresentedServer({ ca: [web.pem, other.pem], crl });
    const leaf = theirs.issue({ dns: [local] });
    const entries = [names, entryOf("partner", { dns: [".partner.org"] }, other)];
    for (const [chain, unverified, reason] of [
      [[theirs], "CERT_REVOKED", /: CERT_REVOKED$/],
      [[crossed], undefined, /^a DNS name is outside the suffixes of partner$/],
      [[crossed, theirs], undefined, /^authorities of more than one entry issued it$/],
    ] as const) {
      const presented = (await revoking.presented(sentWith(leaf, ...chain)))!;
      expect(presented.unverified).toBe(unverified);
      expect(judgedNow(presented, entries)).toEqual(refusal(reason));
    }
    await revoking.stop();
  });

  it.each<CertificateOptions>([past, { ca: false }, { pathLength: 0 }])(
    "be one of the two over or none: %#",
    (options) => {
      const theirs = spiffe.intermediate({ name: "I" });
      const crossed = other.intermediate({ name: "I", keys: theirs.keys, ...options });
      const answer = judgedAlone(theirs.issue({ uris: [id] }), [theirs, crossed]);
      expect(answer).toEqual(refusal(/^authorities of more than one entry issued it$/));
    },
  );
});

describe("an intermediate that was sent, judged without TLS", () => {
  const outOfTime = /^a CA above it is out of/;
  it.each<[string, CertificateOptions, RegExp]>([
    ["it is no CA", { ca: false }, outOfTime],
    ["it has no basic constraints", { ca: null }, outOfTime],
    ["it has ended", past, outOfTime],
    ["it is of the future", future, outOfTime],
    ["its key usage forbids to sign", { keyUsage: 0x80 }, /^no authority/],
    ["it is forged", { forged: true }, /^no authority/],
  ])("does not count where %s", (_, options, reason) => {
    const intermediate = spiffe.intermediate(options);
    expect(judgedAlone(intermediate.issue({ uris: [id] }), [intermediate])).toEqual(refusal(reason));
  });

  it("does not count where it only has the name of the issuer", () => {
    const leaf = stranger.intermediate({ name: "I" }).issue({ uris: [id] });
    expect(judgedAlone(leaf, [right])).toEqual(refusal(/^no authority/));
  });

  it("has its path length counted from the leaf", () => {
    const upper = spiffe.intermediate({ pathLength: 1 });
    const lower = upper.intermediate({ pathLength: 0 });
    expect(judgedAlone(lower.issue({ uris: [id] }), [lower, upper])).toMatchObject(asSpiffe);
    const below = lower.intermediate();
    expect(judgedAlone(below.issue({ uris: [id] }), [below, lower, upper])).toEqual(refusal(/path length/));
    const root = newAuthority({ pathLength: 0 });
    const entries = [entryOf("mesh", { trustDomain: "example.org" }, root)];
    expect(judgedAlone(root.issue({ uris: [id] }), [root], entries)).toMatchObject(asSpiffe);
    const under = root.intermediate();
    expect(judgedAlone(under.issue({ uris: [id] }), [under], entries)).toEqual(refusal(/path length/));
  });

  it("counts until its end, and not at it", () => {
    const until = new Date(Math.ceil(msFromNow(0) / 1000) * 1000 + hour);
    const intermediate = spiffe.intermediate({ until });
    const leaf = intermediate.issue({ uris: [id] });
    expect(judgedAlone(leaf, [intermediate], all, until.getTime() - 1)).toMatchObject(asSpiffe);
    expect(judgedAlone(leaf, [intermediate], all, until.getTime())).toEqual(refusal(outOfTime));
  });

  it("makes no circle", () => {
    const one = spiffe.intermediate({ name: "one" });
    const two = one.intermediate({ name: "two" });
    const back = two.intermediate({ name: "one", keys: one.keys });
    const leaf = two.issue({ uris: [id] });
    expect(judgedAlone(leaf, [two, back])).toEqual(refusal(/^no authority/));
    expect(judgedAlone(leaf, [two, back, one])).toMatchObject(asSpiffe);
    expect(judgedNow({ leaf: one.x509, chain: [], unverified: undefined }, all)).toEqual(refusal(/it is a CA/));
  });

  it("is read no further than one more than is taken, be it a circle", () => {
    const { x509 } = spiffe.issue({ uris: [id] });
    const circle = { issuerCertificate: undefined as unknown };
    circle.issuerCertificate = circle;
    Object.defineProperty(x509, "issuerCertificate", { value: circle });
    const presented = presentedBy({ authorized: true, authorizationError: null, getPeerX509Certificate: () => x509 })!;
    expect(presented.chain).toHaveLength(11);
    expect(judgedNow(presented, all)).toEqual(refusal(/more than 10/));
  });

  it("does not count where nobody can read its key", () => {
    const intermediate = spiffe.intermediate({ name: "I" });
    const ecPublicKey = oid("1.2.840.10045.2.1");
    const der = Buffer.from(intermediate.x509.raw);
    der[der.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 9;
    const broken = new X509Certificate(pemOf("CERTIFICATE", der));
    const presented = { leaf: intermediate.issue({ uris: [id] }).x509, chain: [broken], unverified: undefined };
    expect(judgedNow(presented, all)).toEqual(refusal(/^no authority/));
  });
});

it("attack 44: a peer that is judged anew is refused where its CA is gone, and accepted where it is among others", async () => {
  const presented = (await server.presented(by({})))!;
  const anew = (...authorities: Authorities[]) => judgedNow(presented, authorities);
  const ofMesh = (trustDomain: string, ...roots: Authority[]) => entryOf("mesh", { trustDomain }, ...roots);
  expect(anew(...all)).toMatchObject(asSpiffe);
  expect(anew(far, names)).toEqual(refusal(/^no authority/));
  expect(anew()).toEqual(refusal(/^no authority/));
  expect(anew(ofMesh("example.org", stranger))).toEqual(refusal(/^no authority/));
  expect(anew(ofMesh("example.org", stranger, spiffe))).toMatchObject(asSpiffe);
  expect(anew(ofMesh("other.org", spiffe))).toEqual(refusal(notGiven("mesh")));
});

it("a peer that is judged anew stays refused where TLS refused it, whatever came since", async () => {
  const presented = (await server.presented(stranger.issue({ uris: [id] })))!;
  const since = [entryOf("mesh", { trustDomain: "example.org" }, stranger)];
  expect(judgedNow(presented, since)).toEqual(refusal(/^TLS does not accept it/));
});

it("entries share no key and no authority, in either order", () => {
  const renewed = newAuthority({ name: "another name", keys: spiffe.keys });
  const cases: [Authorities[], problem?: string][] = [
    [all],
    [[]],
    [[entryOf("mesh", {}, spiffe, spiffe), names]],
    [[mesh, entryOf("web", {}, web, renewed)], "certificates mesh: CA certificate 1 has a key of certificates web too"],
    [
      [entryOf("web", {}, web, renewed), far, mesh],
      "certificates web: CA certificate 2 has a key of certificates mesh too",
    ],
    [
      [mesh, entryOf("web", {}, web, spiffe.intermediate())],
      "certificates web: CA certificate 2 was issued by one of certificates mesh",
    ],
    [
      [entryOf("web", {}, spiffe.intermediate(), web), far, mesh],
      "certificates web: CA certificate 1 was issued by one of certificates mesh",
    ],
  ];
  expect(cases.map(([entries]) => sharedRoots(entries)?.text)).toEqual(cases.map(([, problem]) => problem));
});

it("what is told of a refusal names nothing of the certificate", async () => {
  const secret = { name: "secret-subject", emails: ["secret@example.org"], uris: ["spiffe://example.org/secret"] };
  const leaves = [
    ...[stranger.issue(secret), other.issue(secret), spiffe.issue({ ...secret, uris: ["secret"] })],
    ...["secret.example.com", "*.secret.example.com"].map((dns) => web.issue({ ...secret, uris: [], dns: [dns] })),
    spiffe.issue({ ...secret, ...past }),
  ];
  for (const leaf of leaves) expect(((await judged(leaf)) as { refused: string }).refused).not.toMatch(/secret/);
});

/** Tells what is presented over loopback. Asks for a certificate and takes any, as both ports do (TLS 1.3 alone). */
async function startPresentedServer(trust: { ca: string[]; crl?: string[] }) {
  const { certificate: cert, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
  const server = createServer({
    cert,
    key,
    ...trust,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    async presented(client?: ClientCertificate) {
      const socket = connect({
        port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        cert: client?.chain,
        key: client?.key,
      });
      const [accepted] = (await once(server, "secureConnection")) as [TLSSocket];
      try {
        return presentedBy(accepted);
      } finally {
        const closed = once(socket, "close");
        accepted.destroy();
        socket.resume().on("error", () => {});
        await closed;
      }
    },
    async stop() {
      server.close();
      await once(server, "close");
    },
  };
}
