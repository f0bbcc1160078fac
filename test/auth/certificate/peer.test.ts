/**
 * Client certificates, good and bad. What TLS says of them is asked of real connections; what is judged without TLS is
 * said to be.
 */
import { createHash, X509Certificate } from "node:crypto";
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
import { type Client, type PresentedServer, startPresentedServer } from "../../support/presented.ts";

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

let server: PresentedServer;

beforeAll(async () => {
  server = await startPresentedServer({ ca: [spiffe.pem, other.pem, web.pem] });
});

afterAll(() => server.stop());

/** Over TLS. */
async function judged(client: Client, authorities: readonly Authorities[] = all): Promise<Peer> {
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

/** A leaf that comes with these, in this order. */
function sentWith(leaf: Issued, ...chain: readonly Authority[]): Client {
  return { key: leaf.key, chain: [leaf, ...chain].map(({ certificate }) => certificate).join("") };
}

function refusal(reason: RegExp, expired = false) {
  return { refused: expect.stringMatching(reason), expired };
}

const asSpiffe = { identity: { kind: "spiffe", id }, entry: "mesh" };
const asDns = (...names: string[]) => ({ identity: { kind: "dns", certificates: "web", names }, entry: "web" });
const past = { from: fromNow(-2 * hour), until: fromNow(-hour) };

describe("a certificate that a list revokes after TLS has accepted it", () => {
  const below = spiffe.intermediate();
  const [leaf, other] = [below.issue({ uris: [id] }), below.issue({ uris: [id] })];
  const underLists = (...lists: string[]) => [
    {
      ...mesh,
      lists: lists.map((pem) => ({ pem, thisUpdateMs: 0, nextUpdateMs: 0, ...readRevocationList(derOf(pem)) })),
    },
  ];

  it("is refused, and so is one below a CA that is revoked", () => {
    expect(judgedAlone(leaf, [below], underLists(below.crl([leaf])))).toEqual(refusal(/^it, or a CA above it, is/));
    expect(judgedAlone(other, [below], underLists(below.crl([leaf])))).toMatchObject(asSpiffe);
    expect(judgedAlone(other, [below], underLists(spiffe.crl([below])))).toEqual(refusal(/is revoked$/));
  });
});

describe("a certificate that is accepted", () => {
  it("is an X509-SVID by its trust domain's authority, until its end", async () => {
    const until = new Date("2049-01-02T03:04:05Z");
    const svid = spiffe.issue({ uris: [id], until });
    expect(await judged(svid)).toEqual({
      ...asSpiffe,
      untilMs: until.getTime(),
      sha256: createHash("sha256").update(svid.x509.raw).digest("base64url"),
    });
  });

  it("is one with DNS names by an entry for them, in lower case and in their order", async () => {
    const both = web.issue({ dns: ["B.Internal.Example.ORG", "a.svc.cluster.local"], name: "x" });
    expect(await judged(both)).toMatchObject(asDns("b.internal.example.org", "a.svc.cluster.local"));
  });

  it("may lack the extended key usage, the key usage and the basic constraints", async () => {
    const bare = spiffe.issue({ uris: [id], extendedKeyUsage: [], keyUsage: null, ca: null });
    expect(await judged(bare)).toMatchObject(asSpiffe);
    expect(await judged(spiffe.issue({ uris: [id], keyUsage: 0xa8 }))).toMatchObject(asSpiffe);
  });

  it("may have any subject, IP addresses and e-mail addresses: they are not read", async () => {
    const much = { name: ["one", "spiffe://example.org/two"], addresses: ["10.0.0.1"], emails: ["root@example.org"] };
    expect(await judged(spiffe.issue({ uris: [id], ...much }))).toMatchObject(asSpiffe);
    expect(await judged(web.issue({ dns: ["a.svc.cluster.local"], ...much }))).toMatchObject(
      asDns("a.svc.cluster.local"),
    );
  });

  it("attack 34: with a URI and DNS names is taken as SPIFFE, the DNS names unread", async () => {
    const dns = ["admin.internal.example.org", "*", "a\0b"];
    expect(await judged(spiffe.issue({ uris: [id], dns }))).toMatchObject(asSpiffe);
    expect(await judged(web.issue({ uris: [id], dns: dns.slice(0, 1) }))).toEqual(refusal(/web may not give it/));
  });

  it("comes with its intermediates, in any order, with the root and with copies", async () => {
    const upper = spiffe.intermediate({ name: "upper" });
    const lower = upper.intermediate({ name: "lower" });
    const svid = lower.issue({ uris: [id] });
    for (const chain of [
      [lower, upper],
      [upper, lower],
      [lower, upper, spiffe],
      [lower, lower, upper, stranger],
    ]) {
      expect(await judged(sentWith(svid, ...chain))).toMatchObject(asSpiffe);
    }
    expect(await judged(svid)).toMatchObject(asSpiffe);
  });

  it("is five steps from its root at most", async () => {
    const four = intermediates(spiffe, 4);
    expect(await judged(four.at(-1)!.issue({ uris: [id] }))).toMatchObject(asSpiffe);
    const five = intermediates(spiffe, 5);
    expect(await judged(five.at(-1)!.issue({ uris: [id] }))).toEqual(refusal(/more than 5 steps/));
  });

  it("comes with at most ten others", async () => {
    const svid = spiffe.issue({ uris: [id] });
    expect(await judged(sentWith(svid, ...Array<Authority>(10).fill(stranger)))).toMatchObject(asSpiffe);
    expect(await judged(sentWith(svid, ...Array<Authority>(11).fill(stranger)))).toEqual(refusal(/more than 10/));
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

function intermediates(root: Authority, count: number): Authority[] {
  const made: Authority[] = [];
  for (let above = root; made.length < count; made.push(above)) above = above.intermediate();
  return made;
}

describe("no certificate", () => {
  it("is no peer", async () => {
    expect(await server.presented()).toBeUndefined();
    expect(presentedBy({ authorized: false })).toBeUndefined();
  });
});

describe("attack 33: TLS does not accept", () => {
  const signedByItself = newAuthority({ uris: [id], ca: false, keyUsage: 0x80 });
  const future = { from: fromNow(hour), until: fromNow(2 * hour) };
  const cases: [string, Issued, RegExp][] = [
    ["an unknown CA", stranger.issue({ uris: [id] }), /: UNABLE_TO_VERIFY_LEAF_SIGNATURE$/],
    ["an unknown CA of a known name", newAuthority({ name: "A" }).issue({ uris: [id] }), /: CERT_SIGNATURE_FAILURE$/],
    ["a self-signed one", signedByItself, /: DEPTH_ZERO_SELF_SIGNED_CERT$/],
    ["a forged one", spiffe.issue({ uris: [id], forged: true }), /: CERT_SIGNATURE_FAILURE$/],
    ["one that is not valid yet", spiffe.issue({ uris: [id], ...future }), /: CERT_NOT_YET_VALID$/],
    ["one for servers", spiffe.issue({ uris: [id], extendedKeyUsage: ["serverAuth"] }), /: INVALID_PURPOSE$/],
    ["one for any purpose", spiffe.issue({ uris: [id], extendedKeyUsage: ["any"] }), /: INVALID_PURPOSE$/],
    [
      "one with its names twice",
      spiffe.issue({ uris: [id], extensions: [subjectNames("spiffe://example.org/b")] }),
      /TLS/,
    ],
    [
      "one with a critical extension that nobody knows",
      spiffe.issue({ uris: [id], extensions: [extension("1.2.3.4", sequence(), { critical: true })] }),
      /TLS/,
    ],
    ["a CA that is none", byIntermediate({ ca: false, keyUsage: 0x80 }), /TLS/],
    ["a CA whose key usage forbids to sign", byIntermediate({ keyUsage: 0x80 }), /TLS/],
    ["a CA for servers", byIntermediate({ extendedKeyUsage: ["serverAuth"] }), /: INVALID_PURPOSE$/],
    ["a CA that has ended", byIntermediate(past), /: CERT_HAS_EXPIRED$/],
    ["a CA for other names", byIntermediate({ permitted: [uriName("other.org")] }), /TLS/],
    [
      "a CA below one that allows none",
      spiffe
        .intermediate({ pathLength: 0 })
        .intermediate()
        .issue({ uris: [id] }),
      /PATH_LENGTH/,
    ],
  ];

  it.each(cases)("%s", async (_, leaf, reason) => {
    expect(await judged(leaf)).toEqual(refusal(reason));
  });

  it("one that its CA revoked, nor any where a list is missing or out of date", async () => {
    const [good, revoked] = [spiffe.issue({ uris: [id] }), spiffe.issue({ uris: [id] })];
    const lists: [string, Issued, string | undefined][] = [
      [spiffe.crl([revoked]), good, undefined],
      [spiffe.crl([revoked]), revoked, "CERT_REVOKED"],
      [spiffe.crl([], oldTimes()), good, "CRL_HAS_EXPIRED"],
      [other.crl(), good, "UNABLE_TO_GET_CRL"],
    ];
    for (const [crl, leaf, unverified] of lists) {
      const revoking = await startPresentedServer({ ca: [spiffe.pem, other.pem], crl: [crl] });
      const presented = (await revoking.presented(leaf))!;
      expect(presented.unverified).toBe(unverified);
      expect(judgedNow(presented, all)).toMatchObject(
        unverified === undefined ? asSpiffe : refusal(new RegExp(`: ${unverified}$`)),
      );
      await revoking.stop();
    }
  });
});

function oldTimes() {
  return { thisUpdate: past.from, nextUpdate: past.until };
}

function byIntermediate(options: CertificateOptions): Issued {
  return spiffe.intermediate(options).issue({ uris: [id] });
}

function subjectNames(...uris: string[]): Uint8Array {
  return extension("2.5.29.17", sequence(...uris.map(uriName)));
}

describe("the end of a certificate", () => {
  it("attack 33: refuses it, and is told apart where nothing else is wrong", async () => {
    const over = spiffe.issue({ uris: [id], ...past });
    expect((await server.presented(over))!.unverified).toBe("CERT_HAS_EXPIRED");
    expect(await judged(over)).toEqual(refusal(/^it ended at /, true));
    expect(await judged(web.issue({ dns: ["a.svc.cluster.local"], ...past }))).toEqual(refusal(/^it ended at /, true));
  });

  it("is not what a stranger is told, of whom TLS says just the same", async () => {
    for (const over of [stranger.issue({ uris: [id], ...past }), spiffe.issue({ uris: [id], forged: true, ...past })]) {
      expect((await server.presented(over))!.unverified).toBe("CERT_HAS_EXPIRED");
      expect(await judged(over)).toEqual(refusal(/^no authority of the policy issued it$/));
    }
    expect(await judged(other.issue({ uris: [id], ...past }))).toEqual(refusal(/^far may not give it/));
    expect(await judged(spiffe.issue({ uris: [id, id], ...past }))).toEqual(refusal(/more than one URI/));
  });

  it("does not make another refusal of TLS good", () => {
    const { x509 } = spiffe.issue({ uris: [id], ...past });
    const presented = { leaf: x509, chain: [], unverified: "CERT_REVOKED" };
    expect(judgedNow(presented, all)).toEqual(refusal(/: CERT_REVOKED$/));
  });

  it("attack 39: is seen when it is judged anew", async () => {
    const until = new Date(Math.ceil(msFromNow(0) / 1000) * 1000 + hour);
    const presented = (await server.presented(spiffe.issue({ uris: [id], until })))!;
    const at = (ms: number) => judgePeer(presented, all, until.getTime() + ms);
    expect(at(-1)).toMatchObject({ ...asSpiffe, untilMs: until.getTime() });
    expect(at(0)).toEqual(refusal(/^it ended at /, true));
    expect(at(1000 * hour)).toEqual(refusal(/^it ended at /, true));
  });

  it("and its beginning are held against the clock of whoever asks", () => {
    const from = new Date(secondsFromNow(0) * 1000);
    const svid = spiffe.issue({ uris: [id], from });
    expect(judgedAlone(svid, [], all, from.getTime())).toMatchObject(asSpiffe);
    expect(judgedAlone(svid, [], all, from.getTime() - 1)).toEqual(refusal(/not valid yet/));
  });

  it("is TLS's word alone where TLS gives no reason", () => {
    const { x509 } = spiffe.issue({ uris: [id] });
    const presented = presentedBy({ authorized: false, getPeerX509Certificate: () => x509 })!;
    expect(judgedNow(presented, all)).toEqual(refusal(/: not verified$/));
  });
});

describe("attack 33: a leaf that TLS accepts is refused for", () => {
  const cases: [string, CertificateOptions, RegExp][] = [
    ["being a CA", { ca: true, keyUsage: 0x86 }, /it is a CA/],
    ["being a CA that may not sign", { ca: true, keyUsage: 0x80 }, /it is a CA/],
    ["a key usage with keyCertSign", { keyUsage: 0x84 }, /keyCertSign or cRLSign/],
    ["a key usage with cRLSign", { keyUsage: 0x82 }, /keyCertSign or cRLSign/],
    [
      "an extension twice",
      { extensions: [1, 2].map(() => extension("1.2.3.4", sequence())) },
      /extension is there twice/,
    ],
  ];

  it.each(cases)("%s", async (_, options, reason) => {
    expect(await judged(spiffe.issue({ uris: [id], ...options }))).toEqual(refusal(reason));
  });

  it("a key usage without digitalSignature, also where TLS does not see it", async () => {
    for (const keyUsage of [0, 0x08, 0x7f]) {
      const leaf = spiffe.issue({ uris: [id], keyUsage });
      expect(await judged(leaf)).toEqual(refusal(/no digitalSignature|^TLS/));
      expect(judgedAlone(leaf)).toEqual(refusal(/no digitalSignature/));
    }
  });
});

describe("attack 34: URIs", () => {
  it.each<[string, string[], RegExp]>([
    ["two", [id, "spiffe://example.org/ns/fluo/sa/admin"], /more than one URI/],
    ["the same twice", [id, id], /more than one URI/],
    ["one and one of another scheme", [id, "https://example.org/"], /more than one URI/],
    ["one with another inside", [`${id}, URI:spiffe://example.org/ns/fluo/sa/admin`], /no SPIFFE id/],
    ["an empty one", [""], /no SPIFFE id/],
    ["one with a NUL", [`${id}\0.evil.org`], /no SPIFFE id/],
    ["one of another scheme", ["https://example.org/ns/fluo/sa/ingest"], /no SPIFFE id/],
    ["attack 35: an upper-case domain", [id.replace("example", "Example")], /no SPIFFE id/],
    ["attack 35: a percent", ["spiffe://example.org/a%2Fb"], /no SPIFFE id/],
    ["attack 35: no path", ["spiffe://example.org"], /no SPIFFE id/],
  ])("%s", async (_, uris, reason) => {
    expect(await judged(spiffe.issue({ uris }))).toEqual(refusal(reason));
  });

  it("one that is no SPIFFE id is not passed over for DNS names", async () => {
    const leaf = web.issue({ uris: ["https://a.svc.cluster.local"], dns: ["a.svc.cluster.local"] });
    expect(await judged(leaf)).toEqual(refusal(/no SPIFFE id/));
  });
});

describe("attack 36: a SPIFFE id of one domain by the authority of another is refused", () => {
  it("by its root", async () => {
    expect(await judged(other.issue({ uris: [id] }))).toEqual(refusal(/^far may not give it its name$/));
    const theirs = await judged(other.issue({ uris: ["spiffe://other.org/x"] }));
    expect(theirs).toMatchObject({ identity: { id: "spiffe://other.org/x" }, entry: "far" });
  });

  it("by its intermediate, also with the chain of the right one behind it", async () => {
    const right = spiffe.intermediate({ name: "I" });
    const wrong = other.intermediate({ name: "I" });
    const leaf = wrong.issue({ uris: [id] });
    for (const chain of [[wrong], [wrong, right], [right, wrong], [wrong, spiffe], [wrong, other, right, spiffe]]) {
      expect(await judged(sentWith(leaf, ...chain))).toEqual(
        refusal(/^far may not give it its name$|: CERT_SIGNATURE_FAILURE$/),
      );
      expect(judgedAlone(leaf, chain)).toEqual(refusal(/^far may not give it its name$/));
    }
  });

  it("by an intermediate that calls itself as the right root does", async () => {
    const posing = other.intermediate({ name: "A" });
    expect(await judged(posing.issue({ uris: [id] }))).toEqual(refusal(/^far may not|TLS/));
  });

  it("of a domain that no entry has", async () => {
    expect(await judged(spiffe.issue({ uris: ["spiffe://third.org/x"] }))).toEqual(refusal(/^mesh may not give it/));
    expect(await judged(spiffe.issue({ uris: ["spiffe://x.example.org/x"] }))).toEqual(
      refusal(/^mesh may not give it/),
    );
  });

  it("by an intermediate that both signed, of which one limits its names", async () => {
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

  it("by an intermediate that one of them revoked and the other signed too", async () => {
    const theirs = web.intermediate({ name: "I" });
    const crossed = other.intermediate({ name: "I", keys: theirs.keys });
    const crl = [web.crl([theirs]), other.crl(), theirs.crl()];
    const revoking = await startPresentedServer({ ca: [web.pem, other.pem], crl });
    const leaf = theirs.issue({ dns: ["a.svc.cluster.local"] });
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

  it("by an intermediate that both signed, be one of the two over or none", () => {
    const theirs = spiffe.intermediate({ name: "I" });
    for (const options of [past, { ca: false }, { pathLength: 0 }]) {
      const crossed = other.intermediate({ name: "I", keys: theirs.keys, ...options });
      const answer = judgedAlone(theirs.issue({ uris: [id] }), [theirs, crossed]);
      expect(answer).toEqual(refusal(/^authorities of more than one entry issued it$/));
    }
  });
});

describe("attack 37: an entry gives only its kind of name", () => {
  it("a SPIFFE id by the CA for DNS names is refused", async () => {
    expect(await judged(web.issue({ uris: [id] }))).toEqual(refusal(/^web may not give it its name$/));
  });

  it("a DNS name by a trust domain's CA is refused", async () => {
    const leaf = spiffe.issue({ dns: ["a.svc.cluster.local"] });
    expect(await judged(leaf)).toEqual(refusal(/^mesh may not give it its name$/));
  });
});

describe("attack 38: without a name in the right place", () => {
  it("a common name is not read", async () => {
    for (const name of [id, "a.svc.cluster.local", ["x", "a.svc.cluster.local"]]) {
      expect(await judged(spiffe.issue({ name }))).toEqual(refusal(/neither a URI nor a DNS name/));
      expect(await judged(web.issue({ name }))).toEqual(refusal(/neither a URI nor a DNS name/));
    }
  });

  it("neither are other kinds of names", async () => {
    const leaf = web.issue({ emails: ["a@a.svc.cluster.local"], addresses: ["10.0.0.1"] });
    expect(await judged(leaf)).toEqual(refusal(/neither a URI nor a DNS name/));
  });
});

describe("DNS names", () => {
  const ofLength = (length: number) =>
    `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(length - 3 * 64 - 18)}.svc.cluster.local`;

  it.each([
    "a.svc.cluster.local",
    "a.b.c.svc.cluster.local",
    "a_b-c.svc.cluster.local",
    "0.svc.cluster.local",
    "xn--bcher-kva.svc.cluster.local",
    `${"a".repeat(63)}.svc.cluster.local`,
    ofLength(253),
  ])("%s is one", async (name) => {
    expect(await judged(web.issue({ dns: [name] }))).toMatchObject(asDns(name));
  });

  it.each([
    ["a wildcard", "*.svc.cluster.local"],
    ["a wildcard inside", "a*.svc.cluster.local"],
    ["a trailing dot", "a.svc.cluster.local."],
    ["a leading dot", ".svc.cluster.local"],
    ["an empty part", "a..svc.cluster.local"],
    ["a NUL", "a.svc.cluster.local\0.evil.org"],
    ["a NUL before the suffix", "evil.org\0.svc.cluster.local"],
    ["a letter beyond ASCII", "bücher.svc.cluster.local"],
    ["a line feed", "a.svc.cluster.local\n"],
    ["a space", "a b.svc.cluster.local"],
    ["a colon", "a:b.svc.cluster.local"],
    ["another name inside", "a.svc.cluster.local, DNS:b.svc.cluster.local"],
    ["a hyphen at the end of a part", "a-.svc.cluster.local"],
    ["a hyphen at the start of a part", "-a.svc.cluster.local"],
    ["a part of 64", `${"a".repeat(64)}.svc.cluster.local`],
    ["254 characters", ofLength(254)],
    ["nothing", ""],
  ])("with %s are none", async (_, name) => {
    for (const dns of [[name], ["a.svc.cluster.local", name]]) {
      expect(await judged(web.issue({ dns }))).toEqual(refusal(/^a DNS name is none/));
    }
  });

  it.each([
    ["of another domain", "a.example.com"],
    ["that ends like a suffix", "a.xsvc.cluster.local"],
    ["that is the suffix", "svc.cluster.local"],
    ["that has the suffix inside", "a.svc.cluster.local.evil.org"],
  ])("%s are outside the suffixes", async (_, name) => {
    for (const dns of [[name], ["a.svc.cluster.local", name], [name, "a.svc.cluster.local"]]) {
      expect(await judged(web.issue({ dns }))).toEqual(refusal(/^a DNS name is outside the suffixes of web$/));
    }
  });

  it("are held against the suffixes of the entry that issued them alone", () => {
    const second = newAuthority({ name: "second" });
    const entries = [...all, entryOf("second", { dns: [".second.org"] }, second)];
    expect(judgedAlone(second.issue({ dns: ["a.second.org"] }), [], entries)).toMatchObject({
      identity: { kind: "dns", certificates: "second", names: ["a.second.org"] },
      entry: "second",
    });
    expect(judgedAlone(second.issue({ dns: ["a.svc.cluster.local"] }), [], entries)).toEqual(
      refusal(/^a DNS name is outside the suffixes of second$/),
    );
  });

  it("are at most a hundred", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => `a${at}.svc.cluster.local`);
    expect(await judged(web.issue({ dns: many(100) }))).toMatchObject(asDns(...many(100)));
    expect(await judged(web.issue({ dns: many(101) }))).toEqual(refusal(/more than 100 DNS names/));
  });
});

describe("an intermediate that was sent, judged without TLS", () => {
  it.each<[string, CertificateOptions]>([
    ["is no CA", { ca: false }],
    ["has no basic constraints", { ca: null }],
    ["has ended", past],
    ["is of the future", { from: fromNow(hour), until: fromNow(2 * hour) }],
  ])("does not count where it %s", (_, options) => {
    const intermediate = spiffe.intermediate(options);
    expect(judgedAlone(intermediate.issue({ uris: [id] }), [intermediate])).toEqual(
      refusal(/^a CA above it is out of/),
    );
  });

  it.each<[string, CertificateOptions]>([
    ["its key usage forbids to sign", { keyUsage: 0x80 }],
    ["it is forged", { forged: true }],
  ])("does not count where %s", (_, options) => {
    const intermediate = spiffe.intermediate(options);
    expect(judgedAlone(intermediate.issue({ uris: [id] }), [intermediate])).toEqual(refusal(/^no authority/));
  });

  it("does not count where it only has the name of the issuer", () => {
    const posing = spiffe.intermediate({ name: "I" });
    const leaf = stranger.intermediate({ name: "I" }).issue({ uris: [id] });
    expect(judgedAlone(leaf, [posing])).toEqual(refusal(/^no authority/));
  });

  it("has its path length counted from the leaf", () => {
    const upper = spiffe.intermediate({ pathLength: 1 });
    const lower = upper.intermediate({ pathLength: 0 });
    expect(judgedAlone(lower.issue({ uris: [id] }), [lower, upper])).toMatchObject(asSpiffe);
    const below = lower.intermediate();
    const leaf = below.issue({ uris: [id] });
    expect(judgedAlone(leaf, [below, lower, upper])).toEqual(refusal(/path length/));
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
    expect(judgedAlone(leaf, [intermediate], all, until.getTime())).toEqual(refusal(/^a CA above it is out of/));
  });

  it("makes no circle", () => {
    const one = spiffe.intermediate({ name: "one" });
    const two = one.intermediate({ name: "two" });
    const back = two.intermediate({ name: "one", keys: one.keys });
    const leaf = two.issue({ uris: [id] });
    expect(judgedAlone(leaf, [two, back])).toEqual(refusal(/^no authority/));
    expect(judgedAlone(leaf, [two, back, one])).toMatchObject(asSpiffe);
    const circling = { leaf: one.x509, chain: [], unverified: undefined };
    expect(judgedNow(circling, all)).toEqual(refusal(/it is a CA/));
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

describe("a peer that is judged anew", () => {
  it("attack 44: is refused where its CA is gone, and accepted where it is among others", async () => {
    const intermediate = spiffe.intermediate();
    const presented = (await server.presented(intermediate.issue({ uris: [id] })))!;
    const anew = (authorities: readonly Authorities[]) => judgedNow(presented, authorities);
    expect(anew(all)).toMatchObject(asSpiffe);
    expect(anew([far, names])).toEqual(refusal(/^no authority/));
    expect(anew([])).toEqual(refusal(/^no authority/));
    expect(anew([entryOf("mesh", { trustDomain: "example.org" }, stranger)])).toEqual(refusal(/^no authority/));
    expect(anew([entryOf("mesh", { trustDomain: "example.org" }, stranger, spiffe)])).toMatchObject(asSpiffe);
    expect(anew([entryOf("mesh", { trustDomain: "other.org" }, spiffe)])).toEqual(refusal(/^mesh may not give it/));
  });

  it("is refused where the suffix of its name is gone", async () => {
    const presented = (await server.presented(web.issue({ dns: ["a.svc.cluster.local"] })))!;
    const fewer = entryOf("web", { dns: [".internal.example.org"] }, web);
    expect(judgedNow(presented, all)).toMatchObject(asDns("a.svc.cluster.local"));
    expect(judgedNow(presented, [mesh, fewer])).toEqual(refusal(/outside the suffixes/));
  });

  it("stays refused where TLS refused it, whatever came since", async () => {
    const presented = (await server.presented(stranger.issue({ uris: [id] })))!;
    const since = [entryOf("mesh", { trustDomain: "example.org" }, stranger)];
    expect(judgedNow(presented, since)).toEqual(refusal(/^TLS does not accept it/));
  });
});

describe("entries", () => {
  it("share no key and no authority", () => {
    expect(sharedRoots(all)).toBeUndefined();
    expect(sharedRoots([])).toBeUndefined();
    expect(sharedRoots([entryOf("mesh", {}, spiffe, spiffe), names])).toBeUndefined();
  });

  it("are refused where a key stands in two, in whichever certificates", () => {
    const renewed = newAuthority({ name: "another name", keys: spiffe.keys });
    expect(sharedRoots([mesh, entryOf("web", {}, web, renewed)])?.text).toBe(
      "certificates mesh: CA certificate 1 has a key of certificates web too",
    );
    expect(sharedRoots([entryOf("web", {}, web, renewed), far, mesh])?.text).toBe(
      "certificates web: CA certificate 2 has a key of certificates mesh too",
    );
  });

  it("are refused where one has a CA that a CA of the other issued, in either order", () => {
    const below = entryOf("web", {}, web, spiffe.intermediate());
    const problem = "certificates web: CA certificate 2 was issued by one of certificates mesh";
    expect(
      [
        [mesh, below],
        [below, far, mesh],
      ].map((each) => sharedRoots(each)?.text),
    ).toEqual([problem, problem]);
    expect(sharedRoots([far, mesh, entryOf("web", {}, spiffe.intermediate(), web)])?.text).toBe(
      problem.replace("2", "1"),
    );
  });
});

describe("what is told of a refusal", () => {
  it("names nothing of the certificate", async () => {
    const secret = { name: "secret-subject", emails: ["secret@example.org"] };
    const leaves = [
      stranger.issue({ ...secret, uris: ["spiffe://example.org/secret"] }),
      other.issue({ ...secret, uris: ["spiffe://example.org/secret"] }),
      web.issue({ ...secret, dns: ["secret.example.com"] }),
      web.issue({ ...secret, dns: ["*.secret.example.com"] }),
      spiffe.issue({ ...secret, uris: ["secret"] }),
      spiffe.issue({ ...secret, uris: ["spiffe://example.org/secret"], ...past }),
    ];
    for (const leaf of leaves) expect(((await judged(leaf)) as { refused: string }).refused).not.toMatch(/secret/);
  });
});
