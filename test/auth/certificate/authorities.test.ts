import { describe, expect, it } from "vitest";
import {
  newestOf,
  readAuthorities,
  readRevocationLists,
  type RevocationList,
} from "../../../src/auth/certificate/authorities.ts";
import { subjectOf } from "../../../src/auth/certificate/certificate.ts";
import { element, oid, sequence } from "../../support/der-writer.ts";
import { extension, newAuthority, pemOf } from "../../support/pki.ts";

const a = newAuthority({ name: "A" });
const b = newAuthority({ name: "B" });
const leaf = a.issue({ uris: ["spiffe://example.org/a"] });

describe("a file of authorities", () => {
  it("holds CA certificates, with any text between them", () => {
    const text = `# A, since 2026\n${a.pem}\nsubject=B\r\n${b.pem.replaceAll("\n", "\r\n")}\n`;
    expect(read(text)).toEqual([a.x509.fingerprint256, b.x509.fingerprint256]);
  });

  it("may hold one that has ended, as bundles do while they rotate, and an intermediate", () => {
    const old = newAuthority({ from: new Date(0), until: new Date(1000) });
    const intermediate = a.intermediate();
    expect(read(old.pem + intermediate.pem)).toEqual([old, intermediate].map(({ x509 }) => x509.fingerprint256));
  });

  it("holds at most 200", () => {
    expect(read(a.pem.repeat(200))).toHaveLength(200);
  });

  it("is refused where it is empty", () => {
    expect(readAuthorities("")).toBe("holds no CA certificate in PEM");
    expect(readAuthorities("\n# none yet\n")).toBe("holds no CA certificate in PEM");
  });

  it.each<[string, string, RegExp]>([
    ["a leaf", a.pem + leaf.certificate, /^CA certificate 2: is not a CA/],
    ["a CA whose key usage forbids to sign", newAuthority({ keyUsage: 0x80 }).pem, /^CA certificate 1: is not a CA/],
    ["a certificate without basic constraints", newAuthority({ ca: null }).pem, /is not a CA/],
    [
      "an extension twice",
      newAuthority({ extensions: twice("1.2.3.4") }).pem,
      /^CA certificate 1: an extension .* twice/,
    ],
    ["a private key", a.pem + a.key, /^block 2 is labelled PRIVATE KEY, not CERTIFICATE$/],
    ["a revocation list", a.crl(), /^block 1 is labelled X509 CRL, not CERTIFICATE$/],
    ["what is no DER", pemOf("CERTIFICATE", Buffer.from("nonsense")), /^CA certificate 1: /],
    ["an empty block", pemOf("CERTIFICATE", Buffer.alloc(0)), /^CA certificate 1: /],
    [
      "bytes behind a certificate",
      pemOf("CERTIFICATE", Buffer.concat([a.x509.raw, Buffer.alloc(1)])),
      /^CA certificate 1: /,
    ],
    ["a length that is not DER", pemOf("CERTIFICATE", notDer(a.x509.raw)), /^CA certificate 1: is not in DER$/],
    ["a key of an unknown kind", withUnknownKey(), /^CA certificate 1: /],
    ["a block that is cut short", a.pem.slice(0, -20), /^block 1 is cut short/],
    ["a block that is cut in its base64", a.pem + b.pem.slice(0, 200), /^block 2 is cut short/],
    ["a head that is cut", a.pem + b.pem.slice(0, 7), /^block 1 has a broken one behind it$/],
    ["an end alone before all", `-----END CERTIFICATE-----\n${a.pem}`, /^the first block is broken$/],
    ["another end than its head", a.pem.replace("END CERTIFICATE", "END CERTIFICATES"), /^block 1 is cut short/],
    ["a head with more before its label", a.pem.replace("BEGIN ", "BEGIN a "), /^block 1 is cut short/],
    ["a character that is no base64", a.pem.replace(/\n(.)/, "\n!"), /^block 1 is cut short/],
    ["a padding too much", a.pem.replace(/=*\n-----END/, "====\n-----END"), /^block 1 is cut short or is not base64/],
    ["headers", a.pem.replace("\n", "\nProc-Type: 4,ENCRYPTED\n\n"), /^block 1 is cut short/],
    [
      "a certificate with OpenSSL's trust",
      a.pem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
      /is labelled TRUSTED CERT/,
    ],
    ["201 of them", a.pem.repeat(201), /^holds 201 blocks, of at most 200$/],
  ])("is refused with %s", (_, text, problem) => {
    expect(readAuthorities(text)).toMatch(problem);
  });

  it("says what is wrong without a word of the certificate", () => {
    const problems = [
      readAuthorities(leaf.certificate),
      readAuthorities(newAuthority({ name: "secret", ca: null }).pem),
    ];
    for (const problem of problems) expect(problem).not.toMatch(/secret|example\.org/);
  });

  it("is read in time that does not grow faster than the file", () => {
    expect(readAuthorities("-----BEGIN CERTIFICATE-----\n".repeat(40_000))).toMatch(/^block 1 is cut short/);
    expect(readAuthorities(`-----BEGIN CERTIFICATE-----\n${"A\n".repeat(500_000)}`)).toMatch(/^block 1 is cut short/);
  });
});

describe("a file of revocation lists", () => {
  const now = Date.parse("2031-05-05T12:00:00Z");
  const by = { roots: [a.x509, b.x509], nowMs: now };
  const at = (hours: number) => new Date(now + hours * 3_600_000);
  const list = (thisUpdate: number, nextUpdate: number) =>
    a.crl([leaf], { thisUpdate: at(thisUpdate), nextUpdate: at(nextUpdate) });

  it("holds lists that are current, of whom, and when the next are due", () => {
    const [first, second] = [list(-1, 1), b.crl([], { thisUpdate: at(0), nextUpdate: at(24) })];
    expect(readRevocationLists(`A:\n${first}\nB:\n${second}`, by)).toMatchObject([
      { pem: first, issuer: subjectOf(a.x509.raw), thisUpdateMs: at(-1).getTime(), nextUpdateMs: at(1).getTime() },
      { pem: second, issuer: subjectOf(b.x509.raw), thisUpdateMs: at(0).getTime(), nextUpdateMs: at(24).getTime() },
    ]);
  });

  it("counts the last list of each CA", () => {
    const [older, newer] = [list(-2, 1), a.crl([], { thisUpdate: at(-1), nextUpdate: at(1) })];
    const read = readRevocationLists(newer + older + b.crl([], { thisUpdate: at(-3), nextUpdate: at(1) }), by);
    expect(newestOf(read as RevocationList[]).map(({ thisUpdateMs }) => thisUpdateMs)).toEqual(
      [at(-1), at(-3)].map((date) => date.getTime()),
    );
  });

  it("is refused, and soon, with millions of elements where a list has three", () => {
    const block = pemOf("X509 CRL", element(0x30, Buffer.alloc(8_000_000, "0500", "hex")));
    expect(readRevocationLists(block, by)).toMatch(/^revocation list 1: DER: more than 1000 elements/);
  });

  it.each<[string, string, RegExp]>([
    [
      "one past its nextUpdate",
      list(-1, 1) + list(-2, -1),
      /^revocation list 2: is out of date since 2031-05-05T11:00:00/,
    ],
    ["one at its nextUpdate", list(-1, 0), /^revocation list 1: is out of date since 2031-05-05T12:00:00/],
    ["one of the future", list(1, 2), /^revocation list 1: is of the future: 2031-05-05T13:00:00/],
    [
      "one that never ends",
      a.crl([], { thisUpdate: at(-1), nextUpdate: null }),
      /^revocation list 1: has no nextUpdate/,
    ],
    ["none", "", /^holds no revocation list in PEM$/],
    ["a certificate", a.pem, /^block 1 is labelled CERTIFICATE, not X509 CRL$/],
    ["no DER", pemOf("X509 CRL", Buffer.from("3000", "hex")), /^revocation list 1: DER: /],
    [
      "one of the right name and another key",
      newAuthority({ name: "A" }).crl([], { thisUpdate: at(-1), nextUpdate: at(1) }),
      /^revocation list 1: no CA certificate of its entry signed it; that of an intermediate CA has to stand in ca too$/,
    ],
    [
      "one of another CA",
      list(-1, 1) + newAuthority({ name: "C" }).crl([], { thisUpdate: at(-1), nextUpdate: at(1) }),
      /^revocation list 2: no CA certificate of its entry signed it/,
    ],
    ["one that is cut short", list(-1, 1).slice(0, -3), /^block 1 is cut short/],
  ])("is refused with %s", (_, text, problem) => {
    expect(readRevocationLists(text, by)).toMatch(problem);
  });
});

function read(text: string): string[] | string {
  const found = readAuthorities(text);
  return typeof found === "string" ? found : found.map(({ fingerprint256 }) => fingerprint256);
}

function twice(id: string): Uint8Array[] {
  return [extension(id, sequence()), extension(id, sequence())];
}

/** The outermost length in a byte more than it needs. */
function notDer(der: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x30, 0x83, 0]), der.subarray(2)]);
}

/** PEM of a CA whose key is of a kind that nobody knows. */
function withUnknownKey(): string {
  const ecPublicKey = oid("1.2.840.10045.2.1");
  const der = Buffer.from(a.x509.raw);
  der[der.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 9;
  return pemOf("CERTIFICATE", der);
}
