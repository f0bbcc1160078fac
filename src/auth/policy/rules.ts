/** The rules of a policy: whom each matches, and which roles it gives for which tenants, or that it demands a token. */
import { type Role, roleOf, roles } from "../../call/roles.ts";
import { suggestion } from "../../encoding/nearest.ts";
import { type Pattern, patternOf } from "./pattern.ts";
import { type Fields, noEntry, type Reader } from "./fields.ts";
import { quote } from "./quote.ts";
import type { PolicyNode } from "./text.ts";
import { mixedRoles } from "./separation.ts";
import { isTenantOrPrefix, noTenants, type TenantSet, tenantSet } from "./tenant-set.ts";
import { type CertificatesEntry, haveTrustDomainOf, type IssuerEntry, type Trust } from "./trust.ts";

export interface Rule {
  readonly name: string;
  readonly line: number;
  readonly who: Who;
  readonly roles: ReadonlySet<Role>;
  readonly tenants: RuleTenants;
  /** Calls a second for each caller that the rule matches, in place of the general limit. */
  readonly limit: number | undefined;
  /** Whether certificates of its callers count only with a token beside them. Such a rule gives nothing. */
  readonly demandsToken: boolean;
}

export type Who =
  | { readonly kind: "spiffe"; readonly name: Pattern }
  | { readonly kind: "dns"; readonly certificates: string; readonly name: Pattern }
  | { readonly kind: "jwt"; readonly issuer: string; readonly name: Pattern | undefined; readonly claims: WantedClaims }
  | { readonly kind: "token"; readonly token: string };

/** Name and text, all of which must hold. */
export type WantedClaims = readonly (readonly [name: string, text: string])[];

export interface RuleTenants {
  readonly all: boolean;
  readonly named: TenantSet;
  /** Whether the tenant is what the name captured. */
  readonly captured: boolean;
  /** The claim that names tenants. */
  readonly claim: string | undefined;
  /** What is captured or claimed must be one of these too. */
  readonly within: TenantSet | undefined;
}

interface RulesParts {
  trust: Trust;
  separation: boolean;
  reader: Reader;
}

export const maxRules = 10_000;
const separators = { spiffe: "/", dns: ".", jwt: ":" } as const;

export function readRules(policy: Fields, parts: RulesParts): Rule[] {
  const { reader } = parts;
  const node = policy.get("rules");
  if (node?.kind !== "list") {
    reader.problem(node?.line ?? policy.line, 'the policy needs rules, a list: each begins with "- name: …"');
    return [];
  }
  if (node.items.length > maxRules) {
    reader.problem(node.line, `${node.items.length} rules, of at most ${maxRules}`);
    return [];
  }
  const names = new Set<string>();
  const known = knownIn(parts.trust);
  return node.items.map((item) => {
    const rule = readRule(item, names, { ...parts, known });
    names.add(rule.name);
    return rule;
  });
}

/** Entries of the policy that rules may name. */
interface Known {
  certificates: ReadonlyMap<string, CertificatesEntry>;
  issuers: ReadonlyMap<string, IssuerEntry>;
  tokens: ReadonlySet<string>;
  trustDomains: ReadonlySet<string>;
}

function knownIn({ certificates, issuers, tokens }: Trust): Known {
  const domains = [...certificates, ...issuers].map(({ trustDomain }) => trustDomain);
  return {
    certificates: new Map(certificates.map((entry) => [entry.name, entry])),
    issuers: new Map(issuers.map((entry) => [entry.name, entry])),
    tokens: new Set(tokens.map(({ name }) => name)),
    trustDomains: new Set(domains.filter((domain) => domain !== undefined)),
  };
}

interface RuleParts extends Omit<RulesParts, "trust"> {
  known: Known;
}

function readRule(node: PolicyNode, names: ReadonlySet<string>, { reader, separation, known }: RuleParts): Rule {
  const fields = reader.fields(node, ["name", "who", "roles", "tenants", "limit", "token"], "a rule");
  const name = reader.name(fields, names, "rule");
  const who = readWho(fields, known, reader);
  if (fields.get("token")) {
    checkDemand(fields, who, { known, reader });
    return { name, line: fields.line, who, ...demandAlone };
  }
  const given = readRoles(fields, reader);
  const mixed = separation && mixedRoles(given);
  if (mixed) fields.problem(`${mixed} (separation: off would allow it)`);
  const tenants = readTenants(fields, who, reader);
  if (fields.get("tenants") && capturesOf(who) && !tenants.captured) {
    fields.problem(`{tenant} in who is of no use, as tenants does not name it: write * there, or tenants: "{tenant}"`);
  }
  if (tenants.all && given.has("decrypt")) reader.warning(fields.line, `${fields.what} gives decrypt for every tenant`);
  if (!tenants.all && given.has("metrics")) {
    reader.warning(fields.line, `${fields.what}: metrics are of every tenant, so that role is of no use without "*"`);
  }
  const limit = readLimit(fields, reader);
  return { name, line: fields.line, who, roles: given, tenants, limit, demandsToken: false };
}

const noTenant: RuleTenants = { all: false, named: noTenants, captured: false, claim: undefined, within: undefined };
const demandAlone = { roles: new Set<Role>(), tenants: noTenant, limit: undefined, demandsToken: true };

/** A rule that demands a token gives nothing, and is about callers that are known by their certificates. */
function checkDemand(fields: Fields, who: Who, { known, reader }: Pick<RuleParts, "known" | "reader">): void {
  const word = fields.optional("token");
  if (word !== undefined && word.text !== "required") {
    reader.problem(word.line, `${fields.what}: token must be required, not ${quote(word.text)}`);
  }
  const given = ["roles", "tenants", "limit"].filter((key) => fields.get(key));
  if (given.length > 0) {
    fields.problem(`token: required gives nothing, so ${given.join(" and ")} belong into a rule of their own`);
  }
  if (who === nobody) return;
  if (who.kind !== "spiffe" && who.kind !== "dns") {
    fields.problem("token: required is about certificates: who must be spiffe or dns");
    return;
  }
  if (who.name.captures) fields.problem("token: required gives no tenant, so {tenant} is of no use in who: write *");
  if (who.kind === "spiffe" && !haveTrustDomainOf(who.name.text, known.certificates.values())) {
    fields.problem("token: required is about certificates, and no entry of certificates has that trust domain");
  }
  if (known.issuers.size + known.tokens.size === 0) {
    reader.warning(fields.line, `${fields.what} demands a token, and the policy has neither issuers nor tokens`);
  }
}

function readRoles(fields: Fields, reader: Reader): Set<Role> {
  const given = new Set<Role>();
  const node = fields.get("roles");
  if (!node) fields.problem("needs roles");
  if (node?.kind === "list" && node.items.length === 0) fields.problem("roles names none");
  for (const { text, line } of reader.texts(node, `${fields.what}: roles`)) {
    const role = roles.find((each) => each === text);
    if (role) given.add(role);
    else reader.problem(line, `${fields.what}: ${noRole(text)}`);
  }
  return given;
}

/** Returns what is said of a text that is no role. */
export function noRole(text: string): string {
  const rpc = Object.keys(roleOf).find((each) => each.toLowerCase() === text.toLowerCase()) as keyof typeof roleOf;
  if (rpc) return `${text} is an rpc, which the role ${roleOf[rpc]} allows`;
  return `no role ${quote(text)}; there are ${roles.join(", ")}${suggestion(text, roles)}`;
}

function readLimit(fields: Fields, reader: Reader): number | undefined {
  const node = fields.optional("limit");
  if (node === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(node.text)) {
    reader.problem(node.line, `${fields.what}: limit is a whole number of calls a second, from 1 to 9999999`);
  }
  return Number(node.text);
}

const nobody: Who = { kind: "token", token: "" };
const kinds = ["spiffe", "dns", "jwt", "token"] as const;

function readWho(rule: Fields, known: Known, reader: Reader): Who {
  const node = rule.get("who");
  const what = `${rule.what}: who`;
  if (node === undefined) rule.problem("needs who");
  if (node === undefined) return nobody;
  const fields = reader.fields(node, kinds, what);
  const [kind, other] = kinds.filter((each) => fields.get(each));
  if (kind === undefined || other !== undefined) fields.problem("is exactly one of spiffe, dns, jwt and token");
  switch (kind) {
    case "spiffe":
      return { kind, name: readSpiffe(fields, known) };
    case "dns":
      return readDns(reader.fields(fields.get(kind), ["certificates", "name"], `${what}.dns`), known);
    case "jwt":
      return readJwt(reader.fields(fields.get(kind), ["issuer", "subject", "claims"], `${what}.jwt`), known, reader);
    case "token": {
      const token = fields.text(kind);
      if (token !== "" && !known.tokens.has(token)) fields.problem(noEntry("tokens", token, known.tokens));
      return { kind, token };
    }
    default:
      return nobody;
  }
}

type Problem = (text: string) => void;

function capturesOf(who: Who): boolean {
  return who.kind !== "token" && who.name?.captures === true;
}

function readPattern(text: string, kind: keyof typeof separators, problem: Problem): Pattern {
  const pattern = patternOf(text, separators[kind]);
  if (typeof pattern !== "string") return pattern;
  problem(`${quote(text)}: ${pattern}`);
  return { text, exact: true, captures: text.includes("{tenant}"), match: () => undefined, overlaps: () => false };
}

function readSpiffe(fields: Fields, { trustDomains }: Known): Pattern {
  const text = fields.text("spiffe");
  const [, trustDomain, path] = /^spiffe:\/\/([^/]*)((?:\/.*)?)$/.exec(text) ?? [];
  const plain = path?.replaceAll("{tenant}", "t").replaceAll("*", "w");
  if (!trustDomain || !/^(\/[A-Za-z0-9._-]+)+$/.test(plain!) || /\/\.{1,2}(\/|$)/.test(plain!)) {
    if (text !== "") fields.problem(`${quote(text)} is no SPIFFE id such as spiffe://example.org/ns/fluo/sa/ingest`);
  } else if (!trustDomains.has(trustDomain)) {
    fields.problem(`no entry of certificates or issuers has the trust domain ${quote(trustDomain)}`);
  }
  return readPattern(text, "spiffe", fields.problem);
}

const dnsPattern = /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

function readDns(fields: Fields, known: Known): Who {
  const [certificates, name] = [fields.text("certificates"), fields.text("name")];
  const entry = known.certificates.get(certificates);
  if (!entry) {
    if (certificates !== "") fields.problem(noEntry("certificates", certificates, known.certificates.keys()));
  } else if (entry.trustDomain !== undefined) {
    fields.problem(`${certificates} is a trust domain: its callers are who: { spiffe: … }`);
  } else if (name !== "" && !entry.dns.some((suffix) => name.endsWith(suffix))) {
    fields.problem(`${quote(name)} ends in none of the suffixes of ${certificates}: ${entry.dns.join(", ")}`);
  }
  if (name !== "" && !dnsPattern.test(name.replaceAll("{tenant}", "t").replaceAll("*", "w"))) {
    fields.problem(`${quote(name)} is no DNS name in lower case`);
  }
  return { kind: "dns", certificates, name: readPattern(name, "dns", fields.problem) };
}

function readJwt(fields: Fields, known: Known, reader: Reader): Who {
  const issuer = fields.text("issuer");
  const entry = known.issuers.get(issuer);
  if (!entry) {
    if (issuer !== "") fields.problem(noEntry("issuers", issuer, known.issuers.keys()));
  } else if (entry.trustDomain !== undefined) {
    fields.problem(`${issuer} is a trust domain: its callers are who: { spiffe: … }`);
  }
  const claims = fields.get("claims");
  const name = readSubject(fields, claims !== undefined, reader);
  const wanted = claims === undefined ? [] : readClaims(claims, fields.what, reader);
  for (const [claim, text] of wanted) {
    if (!clientClaims.includes(claim) || !entry?.audiences.includes(text)) continue;
    const why = "so every user who logs in there has tokens for it; give this service an audience of its own";
    reader.warning(claims!.line, `${fields.what}: audience ${quote(text)} of ${issuer} is a client's id too, ${why}`);
  }
  return { kind: "jwt", issuer, name, claims: wanted };
}

function readSubject(fields: Fields, hasClaims: boolean, reader: Reader): Pattern | undefined {
  const subject = fields.optional("subject");
  const text = subject?.text;
  if ((!fields.get("subject") && !hasClaims) || text === "*") {
    fields.problem(
      `${text === "*" ? "subject: *, and" : "needs subject or claims:"} an issuer alone would let all of its users in`,
    );
  }
  if (text?.startsWith("spiffe://")) fields.problem("a SPIFFE id is who: { spiffe: … }");
  if (text?.startsWith("system:serviceaccount:") && text.split(":").length !== 4) {
    reader.warning(subject!.line, `${fields.what}: Kubernetes has system:serviceaccount:NAMESPACE:NAME, in four parts`);
  }
  return text === undefined ? undefined : readPattern(text, "jwt", fields.problem);
}

function readClaims(node: PolicyNode, what: string, reader: Reader): WantedClaims {
  if (node.kind !== "map" || node.entries.length === 0) {
    reader.problem(node.line, `${what}.claims must be a mapping from names of claims to texts`);
    return [];
  }
  return node.entries.map(({ key, value, line }) => {
    const problem = claimProblem(key);
    if (problem) reader.problem(line, `${what}.claims: ${problem}`);
    if (value.kind === "text" && value.text !== "") return [key, value.text] as const;
    reader.problem(
      line,
      `${what}.claims: ${quote(key)} must be one text; where any of several will do, write a rule for each`,
    );
    return [key, ""] as const;
  });
}

/** Claims that name the client which a token was issued to. */
const clientClaims = ["azp", "client_id", "cid", "appid"];
/** What users of an issuer can choose or change themselves. */
const chosenByUsers = ["email", "preferred_username", "upn", "unique_name", "name", "nickname"];

function claimProblem(name: string): string | undefined {
  if (name.startsWith("/") && /~(?![01])/.test(name)) return `${quote(name)} is no JSON Pointer: ~ is written ~0`;
  const first = name.startsWith("/") ? name.slice(1).split("/")[0]! : name;
  if (!chosenByUsers.includes(first) && first !== "user_metadata") return undefined;
  return `${quote(name)} can be changed by the user it is about, or given to another later: use the subject, an id, or a role`;
}

function readTenants(rule: Fields, who: Who, reader: Reader): RuleTenants {
  const node = rule.get("tenants");
  if (node === undefined) {
    rule.problem('needs tenants: a list, "*", "{tenant}" or { claim: name }');
    return noTenant;
  }
  const problem = (text: string) => reader.problem(node.line, `${rule.what}: tenants: ${text}`);
  if (node.kind === "map") return { ...noTenant, ...readDerivedTenants(node, { rule, who, reader, problem }) };
  const given = reader.texts(node, `${rule.what}: tenants`).map(({ text }) => text);
  if (node.kind === "list" && given.length === 0) problem("names none");
  const captured = given.includes("{tenant}");
  if (captured) {
    checkCaptures(who, problem);
    reader.warning(node.line, unbounded(rule.what, "{ captured: [acme, globex-*] }"));
  }
  for (const word of ["all", "any"]) {
    if (given.includes(word))
      reader.warning(node.line, `${rule.what}: ${word} is one tenant's id; every tenant is "*"`);
  }
  return { ...noTenant, all: given.includes("*"), captured, named: readNamed(given, problem) };
}

interface DerivedParts {
  rule: Fields;
  who: Who;
  reader: Reader;
  problem: Problem;
}

/** `{ captured: […] }`, `{ claim: name }` or `{ claim: name, within: […] }`. */
function readDerivedTenants(node: PolicyNode, { rule, who, reader, problem }: DerivedParts): Partial<RuleTenants> {
  const what = `${rule.what}: tenants`;
  const fields = reader.fields(node, ["captured", "claim", "within"], what);
  const bounds = (key: string) => {
    const given = reader.texts(fields.get(key), `${what}.${key}`).map(({ text }) => text);
    if (given.length === 0 || given.some((text) => text === "*" || text === "{tenant}")) {
      problem(`${key} must be a list of tenants and prefixes`);
    }
    return readNamed(given, problem);
  };
  if (fields.get("captured")) {
    if (fields.get("claim") || fields.get("within")) problem("captured stands alone");
    checkCaptures(who, problem);
    return { captured: true, within: bounds("captured") };
  }
  const claim = fields.text("claim");
  if (who.kind !== "jwt") problem("a claim is of a token: who must be jwt");
  const wrong = claimProblem(claim);
  if (wrong) problem(wrong);
  if (fields.get("within")) return { claim, within: bounds("within") };
  reader.warning(node.line, unbounded(rule.what, `{ claim: ${quote(claim)}, within: [acme, globex-*] }`));
  return { claim };
}

function checkCaptures(who: Who, problem: Problem): void {
  if (!capturesOf(who)) problem("{tenant} stands in no part of who");
}

function unbounded(what: string, bounded: string): string {
  return `${what}: whoever names its callers chooses their tenants; tenants: ${bounded} would bound them`;
}

function readNamed(given: readonly string[], problem: Problem): TenantSet {
  const named = given.filter((text) => text !== "*" && text !== "{tenant}");
  for (const text of named) {
    if (!isTenantOrPrefix(text)) {
      problem(
        `${quote(text)} is no tenant id (a-z 0-9 . _ -), and no prefix such as acme-*, whose star follows . _ or -`,
      );
    }
  }
  return tenantSet(named.filter(isTenantOrPrefix));
}
