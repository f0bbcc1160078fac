/**
 * Random policies as people could write them, random identities that nearly match them, and what each may do by
 * the plainest of models.
 */
import { type Role, roles } from "../../src/call/roles.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import type { Random } from "./random-span.ts";

export interface WrittenWho {
  spiffe?: string;
  dns?: { certificates: string; name: string };
  jwt?: { issuer: string; subject?: string; claims?: Record<string, string> };
  token?: string;
}

export interface WrittenRule {
  name: string;
  who: WrittenWho;
  roles: Role[];
  tenants: unknown;
}

/** A policy as an object, of which JSON is a text of it. */
export interface WrittenPolicy {
  version: "1";
  separation: "on" | "off";
  certificates: object[];
  issuers: object[];
  tokens: object[];
  rules: WrittenRule[];
}

export const tenantIds = ["acme", "acmex", "acme-eu", "globex", "globex-1", "t"];
const parts = ["web", "backend", "kms-acme", "acme", "globex", "ACME", "*", "{tenant}", "kms-{tenant}"];
const concrete = ["web", "backend", "kms-acme", "kms-", "acme", "globex", "ACME", "x", ""];
const claimNames = ["/realm/roles", "groups", "scope", "admin", "level"];
const claimValues = ["ops", "support", "true", "7", "acme"];
const mixed: [Role[], Role][] = [
  [["decrypt", "decrypt-data-key", "break-glass"], "destroy"],
  [["sign"], "mark-compromised"],
];

const pick = <T>(r: Random, all: readonly T[]): T => all[r.below(all.length)]!;
const some = <T>(r: Random, all: readonly T[], most = 3): T[] => [
  ...new Set(Array.from({ length: 1 + r.below(most) }, () => pick(r, all))),
];

export function randomPolicy(r: Random): WrittenPolicy {
  return {
    version: "1",
    separation: pick(r, ["on", "off"]),
    certificates: [
      { name: "mesh", ca: "/mesh.pem", "trust-domain": "example.org" },
      { name: "web", ca: "/web.pem", dns: [".local", ".internal"] },
      { name: "lan", ca: "/lan.pem", dns: [".local"] },
    ],
    issuers: ["sso", "cluster"].map((name) => ({ name, issuer: `https://${name}.example.org`, audience: "fluo-kms" })),
    tokens: ["admin", "app"].map((name, at) => ({ name, sha256: String(at).repeat(64), expires: "2027-06-30" })),
    rules: Array.from({ length: 1 + r.below(9) }, (_, at) => randomRule(r, `rule-${at}`)),
  };
}

function randomRule(r: Random, name: string): WrittenRule {
  const { who, captures } = randomWho(r);
  const isJwt = "jwt" in who;
  return { name, who, roles: randomRoles(r), tenants: randomTenants(r, captures, isJwt) };
}

/** No rule alone may hold what separation keeps apart. */
function randomRoles(r: Random): Role[] {
  const given = some(r, pick(r, [roles, mixed.flatMap(([all]) => all), mixed.map(([, from]) => from)]), 5);
  return mixed.reduce(
    (left, [others, from]) =>
      others.some((role) => left.includes(role)) ? left.filter((role) => role !== from) : left,
    given,
  );
}

function randomWho(r: Random): { who: WrittenWho; captures: boolean } {
  const path = (separator: string) => {
    const all = Array.from({ length: 1 + r.below(3) }, () => pick(r, parts));
    const first = (text: string) => all.findIndex((part) => part.includes(text));
    const [tenant, star] = [first("{tenant}"), first("*")];
    const isSecond = (part: string, at: number) =>
      (part.includes("{tenant}") && at !== tenant) || (part === "*" && at !== star);
    return all.map((part, at) => (isSecond(part, at) ? "web" : part)).join(separator);
  };
  const kinds: (() => WrittenWho)[] = [
    () => ({ spiffe: `spiffe://example.org/${path("/")}` }),
    () => ({ dns: { certificates: pick(r, ["web", "lan"]), name: `${path(".").replaceAll("ACME", "x")}.local` } }),
    () => ({ jwt: { issuer: pick(r, ["sso", "cluster"]), subject: `u:${path(":")}` } }),
    () => ({ jwt: { issuer: pick(r, ["sso", "cluster"]), claims: randomWanted(r) } }),
    () => ({ jwt: { issuer: pick(r, ["sso", "cluster"]), subject: `u:${path(":")}`, claims: randomWanted(r) } }),
    () => ({ token: pick(r, ["admin", "app"]) }),
    () => ({ token: "admin" }),
  ];
  const who = pick(r, kinds)();
  return { who, captures: JSON.stringify(who).includes("{tenant}") };
}

function randomWanted(r: Random): Record<string, string> {
  return Object.fromEntries(some(r, claimNames, 2).map((name) => [name, pick(r, claimValues)]));
}

function randomTenants(r: Random, captures: boolean, isJwt: boolean): unknown {
  const written = [...tenantIds, "acme-*", "globex-*"];
  // What is captured must be used.
  if (captures)
    return pick<() => unknown>(r, [
      () => "{tenant}",
      () => ["t", "{tenant}"],
      () => ({ captured: some(r, written) }),
    ])();
  const kinds: (() => unknown)[] = [() => "*", () => pick(r, written), () => some(r, written)];
  if (isJwt)
    kinds.push(
      () => ({ claim: "tenants" }),
      () => ({ claim: "/a/tenants", within: some(r, written) }),
    );
  return pick(r, kinds)();
}

/** Half of them by a rule of the policy, so that they match it unless a part is wrong for `{tenant}`. */
export function randomIdentity(r: Random, { rules }: WrittenPolicy): Identity {
  return r.below(2) ? identityFor(r, pick(r, rules).who) : anyIdentity(r);
}

function identityFor(r: Random, { spiffe, dns, jwt, token }: WrittenWho): Identity {
  const concretely = (pattern: string) => pattern.replaceAll("*", "x").replace("{tenant}", pick(r, tenantIds));
  if (spiffe !== undefined) return { kind: "spiffe", id: concretely(spiffe) };
  if (dns !== undefined) return { kind: "dns", certificates: dns.certificates, names: [concretely(dns.name)] };
  if (jwt === undefined) return { kind: "token", token: token! };
  const { "/realm/roles": realm, ...claims } = jwt.claims ?? {};
  const all = { ...randomClaims(r), ...claims, ...(realm !== undefined && { realm: { roles: [realm] } }) };
  return { kind: "jwt", issuer: jwt.issuer, subject: concretely(jwt.subject ?? "ann"), claims: all };
}

function anyIdentity(r: Random): Identity {
  const path = (separator: string) => Array.from({ length: 1 + r.below(3) }, () => pick(r, concrete)).join(separator);
  const name = () => `${path(".").toLowerCase()}.local`;
  switch (r.below(4)) {
    case 0:
      return { kind: "spiffe", id: `spiffe://example.org/${path("/")}` };
    case 1:
      return { kind: "dns", certificates: pick(r, ["web", "lan"]), names: r.below(2) ? [name()] : [name(), name()] };
    case 2:
      return { kind: "token", token: pick(r, ["admin", "app"]) };
    default:
      return { kind: "jwt", issuer: pick(r, ["sso", "cluster"]), subject: path(":"), claims: randomClaims(r) };
  }
}

function randomClaims(r: Random): Record<string, unknown> {
  const value = () => pick<unknown>(r, [...claimValues, true, 7, 7.5, null, { ops: true }, "ops support", []]);
  const claim = () => (r.below(2) ? value() : [value(), value()]);
  const tenants = () => pick<unknown>(r, ["acme", ["acme", "globex-1", "ACME", "*", 7], "*", { acme: 1 }, tenantIds]);
  return {
    ...(r.below(3) && { realm: { roles: claim() } }),
    ...(r.below(3) && { groups: claim() }),
    ...(r.below(3) && { scope: claim() }),
    ...(r.below(3) && { admin: claim() }),
    ...(r.below(3) && { level: claim() }),
    ...(r.below(3) && { tenants: tenants() }),
    ...(r.below(3) && { a: { tenants: tenants() } }),
  };
}

export interface Modelled {
  /** Names of the rules that match. */
  matching: string[];
  /** The first rule that gives it, or undefined; separation is not looked at. */
  rule(role: Role, tenantId?: string): string | undefined;
  allowed(role: Role, tenantId?: string): boolean;
}

/** Three nested loops over what is written: rules, roles, tenants. It shares no code with src/. */
export function model({ rules, separation }: WrittenPolicy, identity: Identity): Modelled {
  const matching = rules.flatMap((rule) => {
    const captured = capturedBy(rule.who, identity);
    return captured === undefined ? [] : [{ ...rule, texts: tenantTexts(rule.tenants, captured, identity) }];
  });
  const rule = (role: Role, tenantId?: string) => {
    for (const { name, roles: given, texts } of matching)
      for (const each of given) for (const text of texts) if (each === role && isFor(text, tenantId)) return name;
    return undefined;
  };
  const allowed = (role: Role, tenantId?: string) => {
    if (rule(role, tenantId) === undefined) return false;
    const others = separation === "on" ? mixed.filter(([, from]) => from === role).flatMap(([all]) => all) : [];
    // For all tenants, another role for any tenant is one too many.
    const holds = (other: Role) =>
      tenantId === undefined
        ? matching.some(({ roles: given, texts }) => given.includes(other) && texts.length > 0)
        : rule(other, tenantId) !== undefined;
    return !others.some(holds);
  };
  return { matching: matching.map(({ name }) => name), rule, allowed };
}

function isFor(text: string, tenantId: string | undefined): boolean {
  if (text === "*") return true;
  if (tenantId === undefined) return false;
  return text.endsWith("*") ? tenantId.startsWith(text.slice(0, -1)) : tenantId === text;
}

const listed = (given: unknown): string[] => [given].flat() as string[];

function tenantTexts(tenants: unknown, captured: readonly string[], identity: Identity): string[] {
  const { claim, within, captured: bounds } = tenants as { claim?: string; within?: unknown; captured?: unknown };
  if (claim !== undefined) {
    const found = claim === "tenants" ? claimsOf(identity).tenants : memberOf(claimsOf(identity).a, "tenants");
    const named = listed(found).filter((id) => typeof id === "string" && /^[a-z0-9][a-z0-9._-]{0,62}$/.test(id));
    return within === undefined ? named : named.filter((id) => listed(within).some((text) => isFor(text, id)));
  }
  if (bounds !== undefined) return captured.filter((id) => listed(bounds).some((text) => isFor(text, id)));
  return listed(tenants).flatMap((text) => (text === "{tenant}" ? captured : [text]));
}

const memberOf = (value: unknown, name: string) => (value as Record<string, unknown> | undefined)?.[name];
const claimsOf = (identity: Identity): Record<string, unknown> => (identity.kind === "jwt" ? identity.claims : {});

/** The tenants that the names capture; undefined where the rule is for somebody else. */
function capturedBy(who: WrittenWho, identity: Identity): string[] | undefined {
  switch (identity.kind) {
    case "token":
      return who.token === identity.token ? [] : undefined;
    case "spiffe":
      return who.spiffe === undefined ? undefined : capture(who.spiffe, "/", [identity.id]);
    case "dns":
      return who.dns?.certificates === identity.certificates ? capture(who.dns.name, ".", identity.names) : undefined;
    case "jwt": {
      if (who.jwt?.issuer !== identity.issuer) return undefined;
      for (const [name, text] of Object.entries(who.jwt.claims ?? {})) {
        const found = name === "/realm/roles" ? memberOf(identity.claims.realm, "roles") : identity.claims[name];
        const words = name === "scope" && typeof found === "string" ? found.split(" ") : [found].flat();
        if (!words.some((word) => word !== null && typeof word !== "object" && word !== 7.5 && `${word}` === text)) {
          return undefined;
        }
      }
      return who.jwt.subject === undefined ? [] : capture(who.jwt.subject, ":", [identity.subject]);
    }
  }
}

function capture(pattern: string, separator: string, names: readonly string[]): string[] | undefined {
  const tenant = separator === "." ? "([a-z0-9][a-z0-9_-]{0,62})" : "([a-z0-9][a-z0-9._-]{0,62})";
  const expression = pattern
    .split(separator)
    .map((part) => (part === "*" ? `[^${separator}]+` : part.split("{tenant}").map(RegExp.escape).join(tenant)))
    .join(RegExp.escape(separator));
  const found = names.map((name) => new RegExp(`^${expression}$`).exec(name)).filter((match) => match !== null);
  return found.length === 0 ? undefined : found.flatMap(([, tenantId]) => tenantId ?? []);
}
