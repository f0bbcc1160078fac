/** Whom a policy believes: authorities that issue client certificates, issuers of tokens, and static tokens by their hash. */
import type { Fields, Reader } from "./fields.ts";
import { quote } from "./quote.ts";
import type { PolicyNode } from "./text.ts";

export interface Trust {
  readonly certificates: readonly CertificatesEntry[];
  readonly issuers: readonly IssuerEntry[];
  readonly tokens: readonly StaticToken[];
}

/** Certificate authorities, and the names that they may give. */
export interface CertificatesEntry {
  readonly name: string;
  readonly line: number;
  /** PEM file of CA certificates. */
  readonly ca: string;
  /** PEM file of revocation lists. */
  readonly crl: string | undefined;
  /** SPIFFE ids of this domain and no other name; else DNS names under the suffixes of `dns`. */
  readonly trustDomain: string | undefined;
  /** Suffixes in lower case, each with its leading dot. */
  readonly dns: readonly string[];
}

export interface IssuerEntry {
  readonly name: string;
  readonly line: number;
  /** Exact text of `iss`. */
  readonly issuer: string | undefined;
  /** Domain whose JWT-SVIDs are meant, in place of `issuer`. */
  readonly trustDomain: string | undefined;
  readonly audiences: readonly [string, ...string[]];
  /** Of JWS (RFC 7518, RFC 8037). */
  readonly algorithms: readonly string[];
  /** Where its key set is. */
  readonly keys: { readonly from: "discovery" } | { readonly from: "address" | "file"; readonly at: string };
  /** PEM file of the authorities of its address. */
  readonly ca: string | undefined;
  /** File of a token that is sent when keys are fetched. */
  readonly tokenFile: string | undefined;
  /** Longest life of a token, from `iat` to `exp`. */
  readonly maxLifetimeMs: number;
  readonly clockToleranceMs: number;
}

export interface StaticToken {
  readonly name: string;
  readonly line: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Undefined: never. */
  readonly expires: Date | undefined;
}

export const maxIssuers = 100;
const standardAlgorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
const allAlgorithms = [...standardAlgorithms, "ES512"];
const trustDomainPattern = /^[a-z0-9._-]{1,255}$/;
const suffixPattern = /^(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/;

export function readTrust(fields: Fields, reader: Reader): Trust {
  const certificates = entries(fields, "certificates", reader, readCertificates);
  const issuers = entries(fields, "issuers", reader, readIssuer);
  if (issuers.length > maxIssuers) {
    reader.problem(fields.get("issuers")!.line, `${issuers.length} issuers, of at most ${maxIssuers}`);
  }
  const trust = { certificates, issuers, tokens: entries(fields, "tokens", reader, readToken) };
  checkTogether(trust, reader);
  return trust;
}

type ReadEntry<T> = (node: PolicyNode, reader: Reader, names: ReadonlySet<string>) => T & { name: string };

function entries<T>(fields: Fields, key: string, reader: Reader, read: ReadEntry<T>): T[] {
  const names = new Set<string>();
  const node = fields.get(key);
  if (node !== undefined && node.kind !== "list") {
    reader.problem(node.line, `${key} must be a list: each entry begins with "- name: …"`);
    return [];
  }
  return reader.list(node).map((item) => {
    const entry = read(item, reader, names);
    names.add(entry.name);
    return entry;
  });
}

function readCertificates(node: PolicyNode, reader: Reader, names: ReadonlySet<string>): CertificatesEntry {
  const fields = reader.fields(node, ["name", "ca", "trust-domain", "dns", "crl"], "an entry of certificates");
  const name = reader.name(fields, names, "certificates");
  const { problem } = fields;
  const trustDomain = readTrustDomain(fields, reader);
  const dns = reader.texts(fields.get("dns"), `${fields.what}: dns`).map(({ text }) => text);
  if ((trustDomain === undefined) === (dns.length === 0))
    problem("needs either trust-domain or dns, a list of suffixes");
  for (const suffix of dns) {
    if (!suffixPattern.test(suffix)) problem(`${quote(suffix)} is no suffix such as .svc.cluster.local, in lower case`);
  }
  const crl = fields.optional("crl")?.text;
  if (crl !== undefined && trustDomain !== undefined) problem("a trust domain has no crl: SPIRE makes none");
  return { name, line: fields.line, ca: fields.text("ca"), crl, trustDomain, dns };
}

function readTrustDomain(fields: Fields, reader: Reader): string | undefined {
  const node = fields.optional("trust-domain");
  if (node && !trustDomainPattern.test(node.text)) {
    reader.problem(node.line, `${fields.what}: a trust domain is a name such as example.org, in lower case`);
  }
  return node?.text;
}

const issuerKeys = [
  "name",
  "issuer",
  "trust-domain",
  "audience",
  "algorithms",
  "jwks",
  "jwks-file",
  "bundle",
  "bundle-file",
  "ca",
  "token-file",
  "max-lifetime",
  "clock-tolerance",
];

function readIssuer(node: PolicyNode, reader: Reader, names: ReadonlySet<string>): IssuerEntry {
  const fields = reader.fields(node, issuerKeys, "an entry of issuers");
  const name = reader.name(fields, names, "issuer");
  const { problem } = fields;
  const trustDomain = readTrustDomain(fields, reader);
  const issuer = fields.optional("issuer")?.text;
  if ((trustDomain === undefined) === (issuer === undefined)) problem("needs either issuer or trust-domain");
  if (issuer !== undefined) checkAddress(issuer, "issuer", problem);
  const entry = {
    name,
    line: fields.line,
    issuer,
    trustDomain,
    audiences: readAudiences(fields, reader),
    algorithms: readAlgorithms(fields, reader),
    keys: readKeySource(fields, trustDomain !== undefined, problem),
    ca: fields.optional("ca")?.text,
    tokenFile: fields.optional("token-file")?.text,
    maxLifetimeMs: readDuration(fields, "max-lifetime", { standard: "24h", min: "1s", max: "3650d" }, problem),
    clockToleranceMs: readDuration(fields, "clock-tolerance", { standard: "30s", min: "0s", max: "60s" }, problem),
  };
  for (const text of fetchWarnings(entry)) reader.warning(fields.line, `${fields.what}: ${text}`);
  return entry;
}

function fetchWarnings({ issuer, keys, ca, tokenFile }: Omit<IssuerEntry, "name">): string[] {
  const addresses = [issuer, keys.from === "address" ? keys.at : undefined];
  const isFetched = keys.from !== "file";
  return [
    addresses.some((address) => address?.startsWith("http:")) ? "http: is for loopback in profile dev" : "",
    !isFetched && (ca ?? tokenFile) !== undefined ? "ca and token-file are of no use with a file of keys" : "",
  ].filter((text) => text !== "");
}

function readAudiences(fields: Fields, reader: Reader): readonly [string, ...string[]] {
  const node = fields.get("audience");
  if (fields.isMap && node === undefined)
    reader.problem(fields.line, `${fields.what} needs audience: what its tokens name this service`);
  const audiences = reader.texts(node, `${fields.what}: audience`);
  if (node?.kind === "list" && node.items.length === 0)
    reader.problem(node.line, `${fields.what}: audience names none`);
  for (const { text, line } of audiences) {
    if (text === "account") {
      reader.problem(
        line,
        `${fields.what}: every token of Keycloak has the audience account; add a mapper for one of your own`,
      );
    }
    if (text.endsWith(".apps.googleusercontent.com")) {
      reader.warning(
        line,
        `${fields.what}: the audience is a login client's id, so every user who logs in there has such tokens`,
      );
    }
  }
  const [first = "", ...others] = audiences.map(({ text }) => text);
  return [first, ...others];
}

function readAlgorithms(fields: Fields, reader: Reader): readonly string[] {
  const node = fields.get("algorithms");
  if (node === undefined) return standardAlgorithms;
  const given = reader.texts(node, `${fields.what}: algorithms`);
  if (given.length === 0) reader.problem(node.line, `${fields.what}: algorithms names none`);
  for (const { text, line } of given) {
    if (!allAlgorithms.includes(text)) {
      reader.problem(line, `${fields.what}: ${quote(text)} is none of the algorithms ${allAlgorithms.join(", ")}`);
    }
  }
  return given.map(({ text }) => text);
}

function readKeySource(fields: Fields, isSpiffe: boolean, problem: (text: string) => void): IssuerEntry["keys"] {
  const [address, file, others] = isSpiffe
    ? (["bundle", "bundle-file", ["jwks", "jwks-file"]] as const)
    : (["jwks", "jwks-file", ["bundle", "bundle-file"]] as const);
  for (const other of others) {
    if (fields.get(other))
      problem(`${other} belongs to ${isSpiffe ? "an issuer" : "a trust-domain"}; here it is ${address} or ${file}`);
  }
  const [at, path] = [fields.optional(address)?.text, fields.optional(file)?.text];
  if (at !== undefined && path !== undefined) problem(`needs ${address} or ${file}, not both`);
  if (at !== undefined) checkAddress(at, address, problem);
  if (path !== undefined) return { from: "file", at: path };
  if (at !== undefined) return { from: "address", at };
  if (isSpiffe) problem(`needs ${address} or ${file}`);
  return { from: "discovery" };
}

/** `http:` is for a service in dev, on loopback: whether it is, the start knows. */
function checkAddress(text: string, key: string, problem: (text: string) => void): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && /^https?:\/\/[^\s\\#]+$/.test(text) && `${url.username}${url.password}` === "";
  if (!isPlain) problem(`${key} must be an address such as https://sso.example.org/realms/fluo`);
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function readDuration(
  fields: Fields,
  key: string,
  { standard, min, max }: { standard: string; min: string; max: string },
  problem: (text: string) => void,
): number {
  const text = fields.optional(key)?.text ?? standard;
  const value = durationMs(text);
  if (value === undefined || value < durationMs(min)! || value > durationMs(max)!) {
    problem(`${key} must be a duration from ${min} to ${max}: a whole number with s, m, h or d, as ${standard}`);
  }
  return value ?? 0;
}

function durationMs(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,8})([smhd])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * unitMs[unit as keyof typeof unitMs];
}

function readToken(node: PolicyNode, reader: Reader, names: ReadonlySet<string>): StaticToken {
  const fields = reader.fields(node, ["name", "sha256", "expires"], "an entry of tokens");
  const name = reader.name(fields, names, "token");
  const { problem } = fields;
  const sha256 = fields.text("sha256");
  if (sha256.startsWith("fkt_"))
    problem("sha256 is the token itself, which is no secret any more: make another by fluo-kms token new");
  else if (sha256 !== "" && !/^[0-9a-f]{64}$/.test(sha256)) {
    problem("sha256 must be 64 lower-case hexadecimal digits, as fluo-kms token new prints them");
  }
  const expires = fields.optional("expires");
  const date = expires && dateOf(expires.text);
  if (expires && !date) problem("expires must be a date such as 2027-06-30, or with a time as 2027-06-30T12:00:00Z");
  if (!expires) reader.warning(fields.line, `${fields.what} never expires`);
  return { name, line: fields.line, sha256, expires: date };
}

/** Of RFC 3339: a date is its first moment in UTC. */
function dateOf(text: string): Date | undefined {
  const form = /^(\d{4})-(\d{2})-(\d{2})(T(?!24)\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2}))?$/.exec(text);
  if (!form) return undefined;
  const [, year, month, day] = form;
  const at = new Date(text);
  const midnight = new Date(`${year}-${month}-${day}`);
  // Date.parse takes the 30th of February for a day of March.
  const isDay = midnight.getUTCMonth() + 1 === Number(month) && midnight.getUTCDate() === Number(day);
  return isDay && !Number.isNaN(at.getTime()) ? at : undefined;
}

function checkTogether({ certificates, issuers, tokens }: Trust, { problem }: Reader): void {
  const some = certificates.filter(({ crl }) => crl !== undefined).length;
  if (some > 0 && some < certificates.length) {
    const { line, name } = certificates.find(({ crl }) => crl === undefined)!;
    problem(
      line,
      `certificates ${name}: has no crl where another entry has one; TLS then wants one for every authority`,
    );
  }
  unique(certificates, ({ trustDomain }) => trustDomain, "the trust domain", problem);
  unique(issuers, ({ issuer }) => issuer, "the issuer", problem);
  unique(issuers, ({ trustDomain }) => trustDomain, "the trust domain", problem);
  unique(tokens, ({ sha256 }) => sha256, "the sha256", problem);
}

/** No two entries have one value, or none could be told to which it belongs. */
function unique<T extends { name: string; line: number }>(
  all: readonly T[],
  read: (entry: T) => string | undefined,
  what: string,
  problem: Reader["problem"],
): void {
  const seen = new Map<string, string>();
  for (const entry of all) {
    const value = read(entry);
    if (value === undefined || value === "") continue;
    const other = seen.get(value);
    if (other !== undefined) problem(entry.line, `${entry.name}: ${what} is that of ${other} too`);
    seen.set(value, entry.name);
  }
}

/** Whether one of the entries is the trust domain of a SPIFFE id, or of a pattern of some. */
export function haveTrustDomainOf(
  spiffeId: string,
  entries: Iterable<{ readonly trustDomain: string | undefined }>,
): boolean {
  const trustDomain = spiffeId.split("/")[2];
  return trustDomain !== undefined && [...entries].some((entry) => entry.trustDomain === trustDomain);
}
