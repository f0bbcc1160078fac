/** Revocation lists as DER: their times, those that TLS does not apply, and who signed them. */
import { constants, generateKeyPairSync, type SignKeyObjectInput, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { nameIn } from "../../../src/auth/certificate/certificate.ts";
import { isRevokedBy, isSignedBy, readRevocationList } from "../../../src/auth/certificate/revocation-list.ts";
import { bits, element, integer, oid, sequence, set, time, utf8 } from "../../support/der-writer.ts";
import { derOf, extension, type Keys, newAuthority } from "../../support/pki.ts";

const hex = (text: string) => Buffer.from(text, "hex");
const empty = sequence();

describe("the times of a revocation list", () => {
  const at = new Date("2031-02-28T23:59:58Z");
  const next = new Date("2031-03-01T00:00:00Z");

  const attribute = set(sequence(oid("2.5.4.3"), utf8("A")));
  const name = sequence(attribute);
  const read = { issuer: "550403=a", thisUpdate: at, nextUpdate: next };

  /** With its times, and what follows them. */
  function listOf(...behind: Uint8Array[]): Buffer {
    return sequence(sequence(integer(1), empty, name, ...behind), empty, bits(hex("00")));
  }

  it("are read", () => {
    const behind = [sequence(sequence(integer(5), time(at))), element(0xa0, empty)];
    expect(readRevocationList(listOf(time(at), time(next), ...behind))).toMatchObject(read);
    expect(readRevocationList(listOf(time(at), time(next)))).toMatchObject(read);
  });

  it("are read of a list of version 1, which does not say that it is", () => {
    const list = sequence(sequence(empty, name, time(at), time(next)), empty, bits(hex("00")));
    expect(readRevocationList(list)).toMatchObject(read);
  });

  it("may lack the next one", () => {
    expect(readRevocationList(listOf(time(at))).nextUpdate).toBeUndefined();
    expect(readRevocationList(listOf(time(at), sequence())).nextUpdate).toBeUndefined();
  });

  it.each<[string, number, string, string]>([
    ["UTCTime of 2049", 0x17, "491231235959Z", "2049-12-31T23:59:59.000Z"],
    ["UTCTime of 1950", 0x17, "500101000000Z", "1950-01-01T00:00:00.000Z"],
    ["UTCTime of 2000", 0x17, "000229120000Z", "2000-02-29T12:00:00.000Z"],
    ["GeneralizedTime", 0x18, "20500101000000Z", "2050-01-01T00:00:00.000Z"],
    ["GeneralizedTime of no year that Date.UTC knows", 0x18, "00500101000000Z", "0050-01-01T00:00:00.000Z"],
    ["GeneralizedTime of the end", 0x18, "99991231235959Z", "9999-12-31T23:59:59.000Z"],
  ])("%s", (_, tag, text, expected) => {
    expect(readRevocationList(listOf(element(tag, Buffer.from(text)))).thisUpdate.toISOString()).toBe(expected);
  });

  it.each<[string, number, string]>([
    ["without seconds", 0x17, "4912312359Z"],
    ["without Z", 0x17, "491231235959"],
    ["with a zone", 0x17, "491231235959+0000"],
    ["with a fraction", 0x18, "20491231235959.5Z"],
    ["of a 30th of February", 0x17, "490230000000Z"],
    ["of a month 13", 0x17, "491301000000Z"],
    ["of a month 0", 0x17, "490001000000Z"],
    ["of a day 0", 0x17, "490100000000Z"],
    ["of an hour 24", 0x17, "491231240000Z"],
    ["of a second 60", 0x17, "491231235960Z"],
    ["with four digits for its year as UTCTime", 0x17, "20491231235959Z"],
    ["with two digits for its year as GeneralizedTime", 0x18, "491231235959Z"],
    ["with a digit more", 0x17, "4912312359590Z"],
    ["with text behind it", 0x17, "491231235959Z\n"],
    ["with a sign", 0x17, "-91231235959Z"],
    ["of nothing", 0x17, ""],
  ])("a time %s is refused", (_, tag, text) => {
    expect(() => readRevocationList(listOf(element(tag, Buffer.from(text))))).toThrow(/DER: a time/);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["a certificate", newAuthority().x509.raw, /other parts/],
    ["a list without a time", listOf(), /other parts/],
    ["three times", listOf(time(at), time(at), time(at)), /other parts/],
    ["a list with more behind it", Buffer.concat([listOf(time(at)), hex("0500")]), /more follows/],
    ["a list without a signature", sequence(sequence(integer(1), empty, empty, time(at)), empty), /other parts/],
  ])("%s is refused", (_, der, reason) => {
    expect(() => readRevocationList(der)).toThrow(reason);
  });
});

describe("a revocation list's extensions", () => {
  const ca = newAuthority({ name: "A" });
  const list = (...extensions: Uint8Array[]) => derOf(ca.crl([], { extensions }));
  const partial = (tag: number, value: string) =>
    extension("2.5.29.28", sequence(element(tag, hex(value))), { critical: true });

  it("may be of any kind if they are not critical, and a critical distribution point", () => {
    const point = extension("2.5.29.28", sequence(), { critical: true });
    const read = readRevocationList(list(extension("2.5.29.20", integer(7)), extension("1.2.3.4", empty), point));
    expect(isSignedBy(read, ca.x509)).toBe(true);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["of a delta list", extension("2.5.29.27", integer(1), { critical: true }), /^is a delta list, .* complete list$/],
    ["of a delta list that is not critical", extension("2.5.29.27", integer(1)), /^is a delta list/],
    ["of a list for some reasons", partial(0x83, "0102"), /^is a partial or indirect list/],
    ["of an indirect list", partial(0x84, "ff"), /^is a partial or indirect list/],
    ["of a list of attributes", partial(0x85, "ff"), /^is a partial or indirect list/],
    ["that nobody knows", extension("1.2.3.4", empty, { critical: true }), /^has a critical extension/],
  ])("%s are refused", (_, one, problem) => {
    expect(() => readRevocationList(list(one))).toThrow(problem);
  });
});

describe("the signature of a revocation list", () => {
  const pssParameters = (hash: string) => sequence(element(0xa0, sequence(oid(hash))));
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  const curve = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });

  it.each<[string, Keys, string | null, Uint8Array, Omit<SignKeyObjectInput, "key">?]>([
    ["RSA with SHA-256", rsa, "sha256", sequence(oid("1.2.840.113549.1.1.11"), hex("0500"))],
    ["RSA with SHA-384", rsa, "sha384", sequence(oid("1.2.840.113549.1.1.12"), hex("0500"))],
    ["RSA with SHA-512", rsa, "sha512", sequence(oid("1.2.840.113549.1.1.13"), hex("0500"))],
    ["RSA-PSS", rsa, "sha384", sequence(oid("1.2.840.113549.1.1.10"), pssParameters("2.16.840.1.101.3.4.2.2")), pss],
    ["ECDSA with SHA-256", curve("P-256"), "sha256", sequence(oid("1.2.840.10045.4.3.2"))],
    ["ECDSA with SHA-384", curve("P-384"), "sha384", sequence(oid("1.2.840.10045.4.3.3"))],
    ["ECDSA with SHA-512", curve("P-521"), "sha512", sequence(oid("1.2.840.10045.4.3.4"))],
    ["Ed25519", generateKeyPairSync("ed25519"), null, sequence(oid("1.3.101.112"))],
    ["Ed448", generateKeyPairSync("ed448"), null, sequence(oid("1.3.101.113"))],
  ])("by %s is verified", (_, keys, hash, algorithm, padding = {}) => {
    const ca = newAuthority().intermediate({ keys });
    const at = new Date("2031-01-01T00:00:00Z");
    const body = sequence(integer(1), algorithm, sequence(), time(at), time(at));
    const made = sign(hash, body, { key: keys.privateKey, ...padding });
    const verdict = (of: Uint8Array) => isSignedBy(readRevocationList(sequence(of, algorithm, bits(made))), ca.x509);
    expect(verdict(body)).toBe(true);
    expect(verdict(sequence(integer(1), algorithm, sequence(), time(at), time(new Date(at.getTime() + 1_000))))).toBe(
      false,
    );
    const other = newAuthority({ keys: keys === rsa ? curve("P-256") : rsa });
    expect(isSignedBy(readRevocationList(sequence(body, algorithm, bits(made))), other.x509)).toBe(false);
  });

  it.each([
    ["RSA with SHA-1", sequence(oid("1.2.840.113549.1.1.5"), hex("0500"))],
    ["RSA-PSS with SHA-1, which need not be named", sequence(oid("1.2.840.113549.1.1.10"), sequence())],
  ])("by %s is refused", (_, algorithm) => {
    const list = sequence(sequence(algorithm, sequence(), time(new Date(0))), algorithm, bits(hex("00")));
    expect(() => isSignedBy(readRevocationList(list), newAuthority({ keys: rsa }).x509)).toThrow(
      /^is signed neither by/,
    );
  });

  it("is of the CA with its key, and may not be of one that must not sign lists", () => {
    const ca = newAuthority({ name: "A" });
    const list = readRevocationList(derOf(ca.crl()));
    const signers = {
      itself: ca,
      renewed: newAuthority({ name: "A", keys: ca.keys }),
      "the same name": newAuthority({ name: "A" }),
      "another CA": newAuthority({ name: "B" }),
      "without cRLSign": newAuthority({ name: "A", keys: ca.keys, keyUsage: 0x04 }),
      "without key usage": newAuthority({ name: "A", keys: ca.keys, keyUsage: null }),
    };
    expect(
      Object.entries(signers)
        .filter(([, { x509 }]) => isSignedBy(list, x509))
        .map(([name]) => name),
    ).toEqual(["itself", "renewed", "without key usage"]);
  });
});

describe("a certificate", () => {
  const [ca, sameName] = [newAuthority({ name: "A" }), newAuthority({ name: "A" })];
  const [revoked, good] = [ca.issue(), ca.issue()];
  const list = (...serials: bigint[]) => readRevocationList(derOf(ca.crl(serials)));

  it("is revoked by a list of its issuer's name that has its serial number", () => {
    expect(isRevokedBy(list(1n, revoked.serial, 2n), revoked.x509)).toBe(true);
    expect(isRevokedBy(list(1n, good.serial), revoked.x509)).toBe(false);
    expect(isRevokedBy(list(), revoked.x509)).toBe(false);
    expect(isRevokedBy(list(7n), newAuthority({ name: "B" }).issue({ serial: 7n }).x509)).toBe(false);
    expect(isRevokedBy(list(7n), sameName.issue({ serial: 7n }).x509)).toBe(true);
  });

  it("is revoked by the name of its issuer in other types, cases and blanks", () => {
    const listed = { revoked: new Set(["07"]) };
    const { x509 } = newAuthority({ name: "Example  ca " }).issue({ serial: 7n });
    const printable = sequence(oid("2.5.4.3"), element(0x13, Buffer.from("EXAMPLE CA")));
    const wide = sequence(oid("2.5.4.3"), element(0x1e, Buffer.from("example ca", "utf16le").swap16()));
    for (const attribute of [printable, wide]) {
      expect(isRevokedBy({ ...listed, issuer: nameIn(set(attribute)) }, x509)).toBe(true);
    }
    const others = [element(0x13, Buffer.from("example cb")), element(0x05, Buffer.alloc(0))];
    for (const value of others) {
      expect(isRevokedBy({ ...listed, issuer: nameIn(set(sequence(oid("2.5.4.3"), value))) }, x509)).toBe(false);
    }
  });

  it("is looked up in a list of any length", () => {
    const many = Array.from({ length: 5_000 }, (_, n) => BigInt(2 * n + 1_000_001));
    const long = list(...many, revoked.serial);
    expect(isRevokedBy(long, revoked.x509)).toBe(true);
    expect([1_000_001n, 1_000_002n].map((serial) => isRevokedBy(long, ca.issue({ serial }).x509))).toEqual([
      true,
      false,
    ]);
  });
});
