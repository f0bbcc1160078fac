/** Values of `authorization` made wrong: as text, in the parts of a token, and in what a token says, under a signature that is good. */
import type { Random } from "../../crash/random.ts";
import { signatureBy, type TestKey } from "../../support/signed-tokens.ts";
import { mutatedJson } from "../mutate-json.ts";

const pieces = [
  ...[" ", "  ", "\t", "\r\n", "\0", ",", ".", "..", "=", "==", "+", "/", "%20", "caf\u00e9", "\ud800", "\u2028", '"'],
  ...["Bearer ", "bearer ", "BEARER  ", "Basic ", "DPoP ", "fkt_", "eyJ", "e30", "eyJhbGciOiJub25lIn0", "bnVsbA"],
  ...["x".repeat(64), "A".repeat(9_000)],
];
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

type Change = (text: string, random: Random, others: readonly string[]) => string;

const changes: readonly Change[] = [
  (text, random) => spliced(text, random, 0, random.pick(pieces)!),
  (text, random) => spliced(text, random, random.below(20), ""),
  (text, random) => spliced(text, random, 1, random.pick([...alphabet])!),
  (text, random) => spliced(text, random, 1, String.fromCharCode(random.below(256))),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text) => `${text}${text}`,
  (text) => text.toLowerCase(),
  function partOfAnother(text, random, others) {
    const [mine, theirs] = [text.split("."), random.pick(others)!.split(".")];
    return mine.with(random.below(mine.length), random.pick(theirs)!).join(".");
  },
  function bitOfPart(text, random) {
    const parts = text.split(".");
    const at = random.below(parts.length);
    const bytes = Buffer.from(parts[at]!.replace(/^Bearer /, ""), "base64url");
    if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return `${at === 0 ? "Bearer " : ""}${parts.with(at, bytes.toString("base64url")).join(".")}`;
  },
  function otherJson(text, random) {
    const parts = text.split(".");
    const at = random.below(2);
    const value = jsonIn(parts[at]?.replace(/^Bearer /, ""));
    const changed = mutatedJson(value, random).toString("base64url");
    return `${at === 0 ? "Bearer " : ""}${parts.with(Math.min(at, parts.length - 1), changed).join(".")}`;
  },
];

/** One change, or a few. */
export function mutatedHeader(text: string, others: readonly string[], random: Random): string {
  const changed = random.pick(changes)!(text, random, others);
  return random.chance(0.3) ? mutatedHeader(changed, others, random) : changed;
}

/** A token whose header and claims are made wrong, and signed by a key of its issuer. */
export function signedNonsense(key: TestKey, claims: object, random: Random): string {
  const header = { alg: key.alg, typ: "JWT", kid: key.kid };
  const parts = [
    random.chance(0.4) ? mutatedJson({ ...header, ...random.pick(headers) }, random) : JSON.stringify(header),
    mutatedJson({ ...claims, ...random.pick(further) }, random),
  ];
  const input = parts.map((each) => Buffer.from(each).toString("base64url")).join(".");
  return `${input}.${signatureBy(key)(Buffer.from(input)).toString("base64url")}`;
}

const headers = [
  {},
  { crit: ["b64"], b64: false },
  { jwk: { kty: "OKP" } },
  { jku: "https://evil.example" },
  { typ: "at+jwt" },
  { kid: "../../etc/passwd" },
  { kid: 7 },
  { alg: "none" },
];
const further = [
  {},
  { cnf: { "x5t#S256": "A".repeat(43) } },
  { cnf: { jkt: "x" } },
  { aud: ["other", "fluo-kms"] },
  { nonce: "n" },
  { groups: Array.from({ length: 200 }, (_, at) => `g${at}`) },
  { realm: { roles: ["support", "ops"] }, tenants: ["acme", "*", 7] },
  { sub: "spiffe://svid.example.org/a/b" },
];

function spliced(text: string, random: Random, length: number, piece: string): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + piece + text.slice(at + length);
}

function jsonIn(text: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(text ?? "", "base64url").toString());
  } catch {
    return {};
  }
}
