import { describe, expect, it } from "vitest";
import { extensionsOf } from "../../../src/auth/certificate/certificate.ts";
import { bits, boolean, element, integer, namedBits, octets, oid, sequence } from "../../support/der-writer.ts";
import { dnsName, extension, newAuthority, uriName } from "../../support/pki.ts";

const names = (...of: Uint8Array[]) => extension("2.5.29.17", sequence(...of));
const keyUsage = (value: Uint8Array) => extension("2.5.29.15", value);
const basicConstraints = (...of: Uint8Array[]) => extension("2.5.29.19", sequence(...of));
const empty = sequence();
const hex = (text: string) => Buffer.from(text, "hex");

function bodyWith(...behind: Uint8Array[]): Buffer {
  return sequence(integer(7), empty, empty, empty, empty, empty, ...behind);
}

/** A certificate of empty parts, with what may stand behind the key. */
function certificateWith(...behind: Uint8Array[]): Buffer {
  return sequence(bodyWith(...behind), empty, bits(hex("00")));
}

function certificateOf(...extensions: Uint8Array[]): Buffer {
  return certificateWith(element(0xa3, sequence(...extensions)));
}

describe("the extensions of a certificate", () => {
  it("are read: names, key usage, basic constraints", () => {
    const { x509 } = newAuthority({ name: "root" }).issue({
      uris: ["spiffe://example.org/a"],
      dns: ["a.example.org", "b.example.org"],
      emails: ["a@example.org"],
      addresses: ["10.0.0.1"],
      keyUsage: 0xa0,
      name: ["one", "two"],
    });
    expect(extensionsOf(x509.raw)).toEqual({
      uris: ["spiffe://example.org/a"],
      dns: ["a.example.org", "b.example.org"],
      others: 2,
      keyUsage: 0xa0,
      isAuthority: false,
      pathLength: undefined,
    });
    expect(extensionsOf(newAuthority({ pathLength: 3 }).x509.raw)).toMatchObject({
      isAuthority: true,
      pathLength: 3,
      keyUsage: 0x06,
    });
  });

  it("may be none", () => {
    const nothing = {
      uris: [],
      dns: [],
      others: 0,
      keyUsage: undefined,
      isAuthority: false,
      pathLength: undefined,
    };
    expect(extensionsOf(certificateWith())).toEqual(nothing);
    expect(extensionsOf(certificateWith(element(0x81, hex("00")), element(0x82, hex("00"))))).toEqual(nothing);
    expect(extensionsOf(certificateOf(extension("1.2.3.4", hex("0500"), { critical: true })))).toEqual(nothing);
  });

  it("tell of a CA that its key usage forbids to sign, which Node does not", () => {
    const { x509 } = newAuthority().issue({ ca: true, keyUsage: 0x80 });
    expect([x509.ca, extensionsOf(x509.raw).isAuthority]).toEqual([false, true]);
  });

  it("leave each name as its bytes are", () => {
    const odd = ["a, URI:b", "a\0b", "", "é", "a\n"];
    expect(extensionsOf(certificateOf(names(...odd.map(uriName), ...odd.map(dnsName))))).toMatchObject({
      uris: odd,
      dns: odd,
      others: 0,
    });
  });

  it("count names of all other kinds", () => {
    const others = [0xa0, 0x81, 0xa3, 0xa4, 0xa5, 0x87, 0x88].map((tag) => element(tag, hex("0500")));
    expect(extensionsOf(certificateOf(names(...others)))).toMatchObject({ uris: [], dns: [], others: 7 });
  });

  it.each([
    ["80", namedBits(0x80), 0x80],
    ["86", namedBits(0x86), 0x86],
    ["01, encipherOnly", namedBits(0x01), 0x01],
    ["none", namedBits(0), 0],
    ["81 and a ninth bit", hex("0303078180"), 0x81],
  ])("key usage %s", (_, value, expected) => {
    expect(extensionsOf(certificateOf(keyUsage(value))).keyUsage).toBe(expected);
  });

  it.each([
    ["0", integer(0), 0],
    ["127", integer(127), 127],
    ["128", integer(128), 128],
    ["256", integer(256), 256],
    ["2^31 - 1", integer(2 ** 31 - 1), 2 ** 31 - 1],
  ])("a path length of %s", (_, value, expected) => {
    expect(extensionsOf(certificateOf(basicConstraints(boolean(true), value))).pathLength).toBe(expected);
  });

  it("take a FALSE that is written, as some issuers do", () => {
    const written = sequence(oid("2.5.29.19"), boolean(false), octets(sequence(boolean(false))));
    expect(extensionsOf(certificateOf(written)).isAuthority).toBe(false);
  });

  const good = certificateOf(names(uriName("spiffe://example.org/a")));
  const bodied = (...parts: Uint8Array[]) => sequence(sequence(...parts), empty, bits(hex("00")));
  const long = (text: string) => Buffer.concat([hex("3081"), hex(text)]);

  it.each<[string, Uint8Array, RegExp]>([
    ["nothing", hex(""), /not where it belongs/],
    ["a byte", hex("30"), /cut short/],
    ["no DER", Buffer.from("-----BEGIN CERTIFICATE-----"), /DER/],
    ["a byte behind it", Buffer.concat([good, hex("00")]), /cut short/],
    ["an element behind it", Buffer.concat([good, hex("0500")]), /more follows/],
    ["its last byte missing", good.subarray(0, -1), /longer than what holds it/],
    ["a set in place of a sequence", element(0x31, good.subarray(2)), /not where it belongs/],
    ["a length that is not minimal", Buffer.concat([hex("308100")]), /not minimal/],
    ["a short length in the long form", long("7f"), /not minimal/],
    ["a length with a zero before it", Buffer.concat([hex("30820080"), Buffer.alloc(128)]), /not minimal/],
    ["an indefinite length", hex("30800000"), /indefinite/],
    ["a length of five bytes", hex("30850000000001"), /more than four bytes/],
    ["a length of four bytes that is too long", hex("3084ffffffff00"), /longer than what holds it/],
    ["a length that is cut short", hex("3084ffffff"), /cut short/],
    ["a tag of two bytes", hex("3f8101000500"), /tag of more than one byte/],
    ["no signature", sequence(bodyWith(), empty), /other parts/],
    ["a part more", sequence(bodyWith(), empty, bits(hex("00")), empty), /other parts/],
    ["no serial number", bodied(empty, empty, empty, empty, empty), /other parts/],
    ["no key", bodied(integer(7), empty, empty, empty, empty), /other parts/],
    ["extensions twice", certificateWith(element(0xa3, empty), element(0xa3, empty)), /other parts/],
    ["a part behind the extensions", certificateWith(element(0xa3, empty), empty), /other parts/],
    ["two lists of extensions", certificateWith(element(0xa3, empty, empty)), /more follows/],
    ["an empty list of lists", certificateWith(element(0xa3)), /not where it belongs/],
    ["an extension that is no sequence", certificateOf(element(0x31)), /an extension is not/],
    ["an extension without a value", certificateOf(sequence(oid("2.5.29.17"))), /other parts/],
    ["an extension with two values", certificateOf(sequence(oid("1.2.3"), octets(), octets())), /other parts/],
    ["a flag that is neither 00 nor ff", certificateOf(sequence(oid("1.2.3"), hex("010101"), octets())), /boolean/],
    ["a flag of two bytes", certificateOf(sequence(oid("1.2.3"), hex("0102ffff"), octets())), /boolean/],
    ["an empty flag", certificateOf(sequence(oid("1.2.3"), hex("0100"), octets())), /boolean/],
    ["names twice", certificateOf(names(uriName("a")), names(uriName("b"))), /twice/],
    ["an unknown extension twice", certificateOf(...Array(2).fill(extension("1.2.3", empty))), /twice/],
    ["the same extension thrice, others between", certificateOf(names(), keyUsage(namedBits(1)), names()), /twice/],
    ["names that are no sequence", certificateOf(extension("2.5.29.17", uriName("a"))), /subject's names/],
    ["more behind the names", certificateOf(extension("2.5.29.17", Buffer.concat([empty, empty]))), /more follows/],
    ["a name of a kind that is none", certificateOf(names(element(0x89))), /unknown kind/],
    ["a URI in pieces", certificateOf(names(element(0xa6, element(0x16, Buffer.from("a"))))), /unknown kind/],
    ["a name longer than the names", certificateOf(extension("2.5.29.17", hex("3003860561"))), /longer/],
    ["a key usage that is no bit string", certificateOf(keyUsage(integer(1))), /key usage/],
    ["a key usage without its first octet", certificateOf(keyUsage(element(0x03))), /bit string/],
    ["a key usage of no bits that leaves one unused", certificateOf(keyUsage(hex("030101"))), /bit string/],
    ["a key usage that leaves eight unused", certificateOf(keyUsage(hex("03020800"))), /bit string/],
    ["a key usage with a bit that is unused", certificateOf(keyUsage(hex("03020181"))), /bit string/],
    ["a path length that is negative", certificateOf(basicConstraints(hex("0201ff"))), /negative/],
    ["a path length that is not minimal", certificateOf(basicConstraints(hex("02020001"))), /minimal/],
    ["an empty path length", certificateOf(basicConstraints(hex("0200"))), /minimal/],
    ["a path length of 32 bits", certificateOf(basicConstraints(integer(2 ** 31))), /too large/],
    ["basic constraints in another order", certificateOf(basicConstraints(integer(1), boolean(true))), /other parts/],
    ["a CA twice", certificateOf(basicConstraints(boolean(false), boolean(true))), /other parts/],
  ])("are refused of a certificate with %s", (_, der, reason) => {
    expect(() => extensionsOf(der)).toThrow(reason);
  });

  it("are read of bytes within others alone", () => {
    const around = Buffer.concat([hex("ffff"), good, hex("ffff")]);
    expect(extensionsOf(around.subarray(2, -2))).toMatchObject({ uris: ["spiffe://example.org/a"] });
  });
});
