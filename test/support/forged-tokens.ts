/** Tokens that nobody may accept, by the row of the table of attacks that they are of; each is otherwise as its issuer makes it. */
import { createPublicKey, hash } from "node:crypto";
import type { AttackedWorld } from "./attacked-service.ts";
import { secondsFromNow } from "./from-now.ts";
import {
  hmacBy,
  type Json,
  part,
  sharedKey,
  signatureBy,
  signed,
  type TestKey,
  testKey,
  tokenBy,
} from "./signed-tokens.ts";

export interface ForgedWorld extends Pick<AttackedWorld, "token" | "claims" | "key"> {
  /** `iss` of the first issuer, and of the other. */
  iss: string;
  other: { iss: string; key: TestKey };
  /** An address of the attacker. */
  attacker: string;
}

/** A row of the table: what it is, and its tokens. */
export interface Forgeries {
  row: string;
  what: string;
  tokens(world: ForgedWorld): readonly string[];
  /** Told that it has expired. */
  expired?: true;
  /** A key that is not there cannot be told from one that was not fetched yet. */
  orUnavailable?: true;
}

/** Keys that the issuers publish, beside the RS256 key `k`. */
export const ec = sharedKey("ES256", "e");
export const ed = sharedKey("EdDSA", "d");
const stranger = sharedKey("RS256", "stranger");
export const weak = {
  enc: testKey("ES256", "enc", { use: "enc" }),
  sign: testKey("ES256", "sign", { key_ops: ["sign"] }),
};

/** With an exponent of 1 a signature is its own padded digest: anybody can make one. */
export function publishedOne({ jwk: { n } }: TestKey): Json {
  return { kty: "RSA", kid: "one", use: "sig", alg: "RS256", n, e: "AQ" };
}

export const publishedWeak: readonly Json[] = [
  ...Object.values(weak).map(({ jwk }) => jwk),
  { kty: "oct", kid: "oct", k: Buffer.from("secret").toString("base64url"), alg: "HS256", use: "sig" },
  { kty: "EC", crv: "P-192", kid: "p192", x: "AAAA", y: "AAAA", use: "sig" },
];

function padded(input: Buffer): Buffer {
  const digest = Buffer.from(hash("sha256", input), "hex");
  const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex");
  const filling = Buffer.alloc(256 - 3 - prefix.length - digest.length, 0xff);
  return Buffer.concat([Buffer.of(0, 1), filling, Buffer.of(0), prefix, digest]);
}

function badSignatures(): ((signature: Buffer) => Buffer)[] {
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const zero = Buffer.alloc(32);
  const number = (bytes: Buffer) => {
    const value = bytes[0]! >= 128 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
    return Buffer.concat([Buffer.of(2, value.length), value]);
  };
  return [
    () => Buffer.alloc(64),
    (s) => Buffer.concat([zero, s.subarray(32)]),
    (s) => Buffer.concat([s.subarray(0, 32), zero]),
    (s) => Buffer.concat([order, s.subarray(32)]),
    (s) => Buffer.concat([s.subarray(0, 32), order]),
    (s) => {
      const both = Buffer.concat([number(s.subarray(0, 32)), number(s.subarray(32))]);
      return Buffer.concat([Buffer.of(0x30, both.length), both]);
    },
  ];
}

const second = () => secondsFromNow(0);
const year = 365 * 86_400;

export const forgeries: readonly Forgeries[] = [
  {
    row: "2",
    what: "no algorithm, in any case, and an empty signature",
    tokens: ({ token, claims }) => [
      ...["none", "None", "nOnE", "NONE"].flatMap((alg) => [
        `${part({ alg, kid: "k" })}.${part(claims())}.`,
        `${part({ alg, kid: "k" })}.${part(claims())}`,
        token({}, { alg }),
      ]),
      `${token().split(".").slice(0, 2).join(".")}.`,
    ],
  },
  {
    row: "3",
    what: "HS256 by the public key as its secret",
    tokens({ key: { publicKey, jwk }, claims }) {
      const forms = (["spki", "pkcs1"] as const).flatMap((type) => [
        publicKey.export({ type, format: "pem" }) as string,
        publicKey.export({ type, format: "der" }),
      ]);
      const secrets = [...forms, JSON.stringify(jwk), jwk.n as string];
      return secrets.flatMap((secret) => [
        signed({ alg: "HS256", kid: "k" }, claims(), hmacBy(secret)),
        signed({ alg: "RS256", kid: "k" }, claims(), hmacBy(secret)),
      ]);
    },
  },
  {
    row: "4",
    what: "another algorithm than the key's, or one that is not listed",
    tokens: ({ token, key, claims }) => [
      ...["PS256", "ES256", "EdDSA", "RS512", "HS256", "rs256"].map((alg) => token({}, { alg })),
      ...(["PS256", "RS512"] as const).map((alg) =>
        signed({ alg, kid: "k" }, claims(), signatureBy({ privateKey: key.privateKey, alg })),
      ),
    ],
  },
  {
    row: "5",
    what: "a signature of zeros, in DER, or with r or s of 0 or beyond the order",
    tokens: ({ claims }) =>
      badSignatures().map((bad) =>
        signed({ alg: "ES256", kid: "e" }, claims(), (input) => bad(signatureBy(ec)(input))),
      ),
  },
  {
    row: "6",
    what: "EdDSA by a key of low order, in the token and without",
    tokens({ claims }) {
      const points = ["", "01", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"];
      return points.flatMap((hex) => {
        const x = Buffer.from(hex.padEnd(64, "0"), "hex");
        const jwk = { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") };
        const zeros = () => Buffer.concat([x, Buffer.alloc(32)]);
        return [{ jwk }, {}].map((more) => signed({ alg: "EdDSA", kid: "d", ...more }, claims(), zeros));
      });
    },
  },
  {
    row: "7",
    what: "a key or certificate in the header",
    tokens: ({ token, claims }) => [
      tokenBy(stranger, claims(), { kid: "k", jwk: stranger.jwk }),
      tokenBy(stranger, claims(), { kid: "k", x5c: ["MIIB"] }),
      tokenBy(stranger, claims(), { kid: "k" }),
      token({}, { jwk: null }),
      token({}, { x5c: [] }),
    ],
  },
  {
    row: "8",
    what: "an address of keys in the header",
    tokens: ({ token, claims, attacker }) => [
      ...["jku", "x5u"].flatMap((name) => [
        tokenBy(stranger, claims(), { kid: "k", [name]: attacker }),
        token({}, { [name]: attacker }),
      ]),
      tokenBy(stranger, claims({ iss: attacker })),
    ],
  },
  {
    row: "9",
    what: "a kid that is no text",
    tokens: ({ token }) => [7, null, ["k"], { kid: "k" }, true].map((kid) => token({}, { kid })),
  },
  {
    row: "9",
    what: "a kid that is a path, a statement, long, or a prototype's name",
    orUnavailable: true,
    tokens: ({ token }) =>
      ["../../etc/passwd", "' OR 1=1 --", "x".repeat(5_000), "x".repeat(10_000), "__proto__", "constructor", ""].map(
        (kid) => token({}, { kid }),
      ),
  },
  {
    row: "10",
    what: "crit and b64",
    tokens: ({ token }) =>
      [
        { crit: ["b64"], b64: true },
        { crit: ["b64"], b64: false },
        { crit: ["exp"] },
        { crit: [] },
        { crit: ["unknown"], unknown: 1 },
        { b64: false },
      ].map((header) => token({}, header)),
  },
  {
    row: "11",
    what: "JWE, a token in a token, and what is compressed",
    tokens: ({ token, key }) => [
      `${part({ alg: "RSA-OAEP", enc: "A256GCM" })}.a2V5.aXY.dGV4dA.dGFn`,
      `${token()}.aXY.dGFn`,
      token({}, { enc: "A256GCM" }),
      token({}, { zip: "DEF" }),
      token({}, { cty: "JWT" }),
      tokenBy(key, token(), { cty: "JWT" }),
      tokenBy(key, token()),
    ],
  },
  {
    row: "12",
    what: "another serialisation or spelling",
    tokens({ token }) {
      const good = token();
      const [protectedHeader, payload, signature] = good.split(".") as [string, string, string];
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const twin = alphabet[alphabet.indexOf(signature.at(-1)!) + 1]!; // 4 bits of the last character say nothing
      return [
        JSON.stringify({ protected: protectedHeader, payload, signature }),
        JSON.stringify({ payload, signatures: [{ protected: protectedHeader, signature }] }),
        ...[`${good}.`, `.${good}`, `${good}=`, `${good}==`, `${good}.x`, `${good} x`],
        `${protectedHeader}=.${payload}.${signature}`,
        `${protectedHeader}.${payload}.+/${signature.slice(2)}`,
        `${protectedHeader}.${payload}.${signature.slice(0, -1)}${twin}`,
      ];
    },
  },
  {
    row: "13",
    what: "iss unknown, with a slash more, in other case, an array or absent",
    tokens: ({ token, iss }) =>
      ["https://evil.example.org", `${iss}/`, iss.toUpperCase(), [iss], undefined, null, "sso", ""].map((other) =>
        token({ iss: other }),
      ),
  },
  {
    row: "14",
    what: "the key of one issuer for another's token, with the same kid",
    tokens: ({ token, claims, other }) => [token({ iss: other.iss }), tokenBy(other.key, claims())],
  },
  {
    row: "15",
    what: "aud of others, absent, account, a prefix of ours, an array without ours, an object",
    tokens: ({ token }) =>
      [
        ...["other", undefined, "account", "fluo", "fluo-kms2", "FLUO-KMS", ["other", "account"], []],
        { 0: "fluo-kms" },
      ].map((aud) => token({ aud })),
  },
  {
    row: "16",
    what: "a login's token, a logout's, a proof, an event",
    tokens: ({ token }) => [
      ...["nonce", "at_hash", "c_hash", "s_hash", "events"].map((name) => token({ [name]: "x" })),
      ...["ID", "Refresh", "Logout"].map((typ) => token({ typ })),
      ...["logout+jwt", "dpop+jwt", "secevent+jwt"].map((typ) => token({}, { typ })),
    ],
  },
  {
    row: "17",
    what: "exp past the tolerance",
    expired: true,
    tokens: ({ token }) => [
      token({ iat: second() - 600, exp: second() - 31 }),
      token({ iat: second() - year - 600, exp: second() - year }),
    ],
  },
  {
    row: "17",
    what: "exp absent, text, 1e400 or negative",
    tokens: ({ token, claims, key }) => [
      ...[undefined, `${second() + 60}`, -1].map((exp) => token({ exp })),
      tokenBy(key, JSON.stringify(claims({ exp: 0 })).replace('"exp":0', '"exp":1e400')),
    ],
  },
  {
    row: "18",
    what: "nbf or iat in the future beyond the tolerance",
    tokens: ({ token }) =>
      ["nbf", "iat"].flatMap((name) => [token({ [name]: second() + 300 }), token({ [name]: second() + year })]),
  },
  {
    row: "19",
    what: "a life of a year",
    tokens: ({ token }) => [token({ exp: second() + year }), token({ iat: second() - year })],
  },
  {
    row: "20",
    what: "sub empty, absent, a number, long, or with line feeds",
    tokens: ({ token }) =>
      ["", undefined, 7, "x".repeat(513), "x".repeat(1024 * 5), "ingest\n", "a\nb"].map((sub) => token({ sub })),
  },
  {
    row: "21",
    what: "a member twice in header or claims, signed",
    tokens({ key, claims }) {
      const [header, text] = [JSON.stringify({ alg: "RS256", kid: "k" }), JSON.stringify(claims())];
      return [
        [header, text.replace('"sub":', '"sub":"admin","sub":')],
        [header, text.replace('"sub":', '"s\\u0075b":"admin","sub":')],
        [header.replace("{", '{"alg":"none",'), text],
        [header.replace("{", '{"kid":"k",'), text],
      ].map(([first, other]) => signed(first, other, signatureBy(key)));
    },
  },
  {
    row: "30a",
    what: "a key that counts for nothing",
    tokens({ claims, key }) {
      const one = createPublicKey({ key: publishedOne(key) as never, format: "jwk" });
      if (one.asymmetricKeyDetails?.publicExponent !== 1n) throw new Error("the key is another");
      return [
        ...Object.values(weak).map((each) => tokenBy(each, claims())),
        signed({ alg: "RS256", kid: "one" }, claims(), padded),
        signed({ alg: "HS256", kid: "oct" }, claims(), hmacBy("secret")),
        signed({ alg: "ES256", kid: "p192" }, claims(), () => Buffer.alloc(48, 1)),
      ];
    },
  },
  {
    row: "31",
    what: "bound to a certificate that is not shown, or to another proof",
    tokens: ({ token }) => [
      token({ cnf: { "x5t#S256": Buffer.alloc(32, 7).toString("base64url") } }),
      token({ cnf: { jkt: Buffer.alloc(32, 7).toString("base64url") } }),
      token({ cnf: {} }),
      token({ cnf: null }),
    ],
  },
];
