/**
 * What a policy gives, held against a model that knows nothing of how it is found: three nested loops over rules, names and tenants. Random
 * policies and identities by a seed; AUTH_MODEL_POLICIES asks for more of them.
 */
import { expect, it } from "vitest";
import { createMatcher, grantFor } from "../../../src/auth/policy/grants.ts";
import type { Identity } from "../../../src/auth/policy/identity.ts";
import { type Role, roles } from "../../../src/call/roles.ts";
import { type Random, randomFrom } from "../../crash/random.ts";
import { policyOf } from "../../support/policy-fixture.ts";

interface ModelRule {
  name: string;
  kind: "spiffe" | "dns" | "jwt" | "token";
  /** Of certificates or an issuer. */
  entry: string;
  /** A pattern; undefined for any subject. */
  who: string | undefined;
  claims: Record<string, string>;
  roles: Role[];
  tenants: string[];
  derived: { captured?: string[]; claim?: string; within?: string[] } | undefined;
}

const separators = { spiffe: "/", dns: ".", jwt: ":", token: "" } as const;
const words = ["acme", "acme-eu", "globex", "a", "b"];
const tenants = ["acme", "acme-eu", "acmex", "globex", "a", "b", "c", undefined];
const claimNames = ["r", "scope", "/m/r", "t", "/m/t"];
const claimTexts = ["x", "y", "5", "true"];

function randomRule(random: Random, at: number): ModelRule {
  const kind = random.pick(["spiffe", "dns", "jwt", "token"] as const)!;
  const entry = { spiffe: "", token: "", dns: random.pick(["web", "lan"])!, jwt: random.pick(["sso", "idp"])! }[kind];
  const parts = [random.pick(words)!, random.pick(words)!];
  if (random.chance(0.3)) parts[0] = random.pick(["*", "{tenant}", "k-{tenant}"])!;
  if (random.chance(0.3))
    parts[1] = parts[0] === "*" ? random.pick(["{tenant}", "{tenant}-k"])! : parts[0]!.includes("{") ? "a" : "*";
  const written = {
    spiffe: `spiffe://td/${parts.join("/")}`,
    dns: `${parts.join(".")}.net`,
    jwt: parts.join(":"),
    token: random.pick(["t1", "t2"])!,
  }[kind];
  const claims = kind === "jwt" && random.chance(0.6) ? { [random.pick(claimNames)!]: random.pick(claimTexts)! } : {};
  const who = kind === "jwt" && Object.keys(claims).length > 0 && random.chance(0.4) ? undefined : written;
  const captures = who?.includes("{tenant}") ?? false;
  const named = Array.from({ length: 1 + random.below(2) }, () => random.pick([...words, "acme-*", "*"])!);
  const bounds = () => [random.pick(["acme", "globex", "acme-*"])!, random.pick(words)!];
  const derived =
    captures && random.chance(0.5)
      ? { captured: bounds() }
      : kind === "jwt" && !captures && random.chance(0.5)
        ? { claim: random.pick(["t", "/m/t", "r"])!, ...(random.chance(0.5) && { within: bounds() }) }
        : undefined;
  if (captures && derived === undefined) named.push("{tenant}");
  const given = roles.filter(() => random.chance(0.3));
  return {
    name: `r${at}`,
    kind,
    entry,
    who,
    claims,
    roles: given.length > 0 ? given : ["sign"],
    tenants: named,
    derived,
  };
}

function textOf(rules: readonly ModelRule[]): string {
  const who = ({ kind, entry, who: name, claims }: ModelRule) => {
    if (kind === "dns") return { dns: { certificates: entry, name } };
    const wanted = Object.keys(claims).length > 0 ? { claims } : {};
    return kind === "jwt"
      ? { jwt: { issuer: entry, ...(name !== undefined && { subject: name }), ...wanted } }
      : { [kind]: name };
  };
  const ca = { ca: "/ca.pem", dns: [".net"] };
  const issuer = (name: string) => ({ name, issuer: `https://${name}`, audience: "kms" });
  const token = (name: string, digits: string) => ({ name, sha256: digits.repeat(32), expires: "2027-01-01" });
  return JSON.stringify({
    version: 1,
    separation: "off",
    certificates: [
      { name: "web", ...ca },
      { name: "lan", ...ca },
      { name: "mesh", ca: "/m.pem", "trust-domain": "td" },
    ],
    issuers: [issuer("sso"), issuer("idp")],
    tokens: [token("t1", "01"), token("t2", "02")],
    rules: rules.map((rule) => ({
      name: rule.name,
      who: who(rule),
      roles: rule.roles,
      tenants: rule.derived ?? rule.tenants,
    })),
  });
}

function randomIdentity(random: Random): Identity {
  const part = () => random.pick([...words, "k-acme", "acme-k", "", "Acme", "x"])!;
  const parts = [part(), part(), ...(random.chance(0.1) ? [part()] : [])];
  switch (random.pick(["spiffe", "dns", "jwt", "token"] as const)!) {
    case "spiffe":
      return { kind: "spiffe", id: `spiffe://${random.chance(0.9) ? "td" : "other"}/${parts.join("/")}` };
    case "dns": {
      const names = [`${parts.join(".")}.net`, `${part()}.${part()}.net`] as const;
      return {
        kind: "dns",
        certificates: random.pick(["web", "lan"])!,
        names: random.chance(0.5) ? [names[0]] : [...names],
      };
    }
    case "jwt":
      return {
        kind: "jwt",
        issuer: random.pick(["sso", "idp"])!,
        subject: parts.join(":"),
        claims: randomClaims(random),
      };
    case "token":
      return { kind: "token", token: random.pick(["t1", "t2", "t3"])! };
  }
}

function randomClaims(random: Random): Record<string, unknown> {
  const value = (): unknown =>
    random.pick<() => unknown>([
      ...[() => random.pick(claimTexts), () => 5, () => true, () => null, () => "x y", () => "*"],
      ...[
        () => [random.pick(claimTexts), random.pick(words), 5],
        () => random.pick(words),
        () => ({ x: true }),
        () => [["x"]],
      ],
      () => Array.from({ length: 99 + random.below(4) }, () => "acme"),
    ])!();
  const claims: Record<string, unknown> = {};
  for (const name of ["r", "scope", "t"]) if (random.chance(0.7)) claims[name] = value();
  if (random.chance(0.7)) claims.m = { r: value(), t: value() };
  return claims;
}

/** An identity that the rule may well match. */
function identityNear({ kind, entry, who }: ModelRule, random: Random): Identity {
  const filled = (who ?? "anybody").replace("*", random.pick(words)!).replace("{tenant}", random.pick(words)!);
  switch (kind) {
    case "spiffe":
      return { kind, id: filled };
    case "dns":
      return { kind, certificates: entry, names: random.chance(0.5) ? [filled] : ["z.net", filled] };
    case "jwt":
      return { kind, issuer: entry, subject: filled, claims: randomClaims(random) };
    case "token":
      return { kind, token: filled };
  }
}

// The model: nothing of src/auth.

const tenantId = /^[a-z0-9][a-z0-9._-]{0,62}$/;

function captured(who: string, kind: ModelRule["kind"], name: string): string[] | undefined {
  const separator = separators[kind];
  const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const source = who
    .split(/(\*|\{tenant\})/)
    .map((piece) =>
      piece === "*" ? `[^${separator}]+` : piece === "{tenant}" ? `([^${separator}]+)` : escaped(piece),
    );
  const found = new RegExp(`^${source.join("")}$`).exec(name);
  if (!found) return undefined;
  return found.slice(1).every((tenant) => tenantId.test(tenant)) ? found.slice(1) : undefined;
}

function claim(claims: Record<string, unknown>, name: string): unknown {
  return name.startsWith("/m/") ? (claims.m as Record<string, unknown> | undefined)?.[name.slice(3)] : claims[name];
}

function holds(claims: Record<string, unknown>, name: string, text: string): boolean {
  const found = claim(claims, name);
  const values = Array.isArray(found)
    ? found
    : name === "scope" && typeof found === "string"
      ? found.split(" ")
      : [found];
  return values.some((value) => value !== null && typeof value !== "object" && String(value) === text);
}

const covers = (named: string, tenant: string) =>
  named.endsWith("*") ? tenant.startsWith(named.slice(0, -1)) : named === tenant;

function modelAllows(
  rules: readonly ModelRule[],
  identity: Identity,
  role: Role,
  tenant: string | undefined,
): string | undefined {
  for (const rule of rules) {
    if (rule.kind !== identity.kind || !rule.roles.includes(role)) continue;
    const entry = identity.kind === "dns" ? identity.certificates : identity.kind === "jwt" ? identity.issuer : "";
    const claims = identity.kind === "jwt" ? identity.claims : {};
    if (entry !== rule.entry || !Object.entries(rule.claims).every(([name, text]) => holds(claims, name, text)))
      continue;
    const names = { spiffe: "id", dns: "names", jwt: "subject", token: "token" } as const;
    const own = (identity as unknown as Record<string, string | string[]>)[names[identity.kind]]!;
    for (const name of [own].flat()) {
      const captures = rule.who === undefined ? [] : captured(rule.who, rule.kind, name);
      if (captures === undefined) continue;
      if (!rule.derived && rule.tenants.includes("*")) return rule.name;
      const { captured: bounds, claim: claimed, within = bounds } = rule.derived ?? {};
      const value = claimed === undefined ? [] : [claim(claims, claimed)].flat();
      const found = [...captures, ...(value.length > 100 ? [] : value)].filter(
        (each) =>
          typeof each === "string" && tenantId.test(each) && (!within || within.some((bound) => covers(bound, each))),
      );
      const named = rule.derived ? [] : rule.tenants.filter((each) => each !== "{tenant}");
      for (const each of [...named, ...(found as string[])]) {
        if (tenant !== undefined && covers(each, tenant)) return rule.name;
      }
    }
  }
  return undefined;
}

it("agrees with three nested loops over random policies and identities", () => {
  const policies = Number(process.env.AUTH_MODEL_POLICIES ?? 60);
  const seed = Number(process.env.AUTH_MODEL_SEED ?? 4711);
  let [asked, allowed] = [0, 0];
  for (let at = 0; at < policies; at += 1) {
    const random = randomFrom(seed + at);
    const rules = Array.from({ length: 1 + random.below(12) }, (_, index) => randomRule(random, index));
    const match = createMatcher(policyOf(textOf(rules)).rules);
    for (let count = 0; count < 20; count += 1) {
      const near = random.pick(rules)!;
      const identity = random.chance(0.7) ? identityNear(near, random) : randomIdentity(random);
      const grants = match(identity);
      for (const tenant of tenants) {
        const role = random.pick(random.chance(0.7) ? near.roles : roles)!;
        const expected = modelAllows(rules, identity, role, tenant);
        const found = grantFor(grants, role, tenant)?.rule;
        asked += 1;
        if (expected !== undefined) allowed += 1;
        if (found === expected) continue;
        expect.fail(
          `seed ${seed + at}: ${found}, not ${expected}: ${role} for ${tenant} by ${JSON.stringify(identity)} in ${textOf(rules)}`,
        );
      }
    }
  }
  expect(asked).toBe(policies * 20 * tenants.length);
  expect(allowed / asked).toBeGreaterThan(0.1);
});
