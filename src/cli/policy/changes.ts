/** What differs between two policies, for a review by people: rules by their names, and whom the policy trusts. */
import type { Policy } from "../../auth/policy/policy.ts";
import type { Rule, Who } from "../../auth/policy/rules.ts";
import type { CertificatesEntry, IssuerEntry, StaticToken } from "../../auth/policy/trust.ts";
import { rolesOf, tenantTexts, whoText } from "./words.ts";

export interface PolicyChanges {
  rules: Change[];
  trust: Change[];
}

export interface Change {
  change: "added" | "removed" | "changed" | "renamed";
  kind: "rule" | "certificates" | "issuer" | "token" | "policy";
  name: string;
  /** Line in the new file, or in the old one of what was removed. Settings of the whole policy have none. */
  line?: number;
  /** A sentence, if the values alone do not say enough. */
  note?: string;
  /** All values of what was added or removed, else those that came and went. */
  values: Values;
}

export type Values = { what: string; gone: string[]; come: string[] }[];

export function policyChanges(before: Policy, after: Policy): PolicyChanges {
  const [certificates, issuers, tokens] = [
    pairs(certificatesKind, before.certificates, after.certificates),
    pairs(issuerKind, before.issuers, after.issuers),
    pairs(tokenKind, before.tokens, after.tokens),
  ];
  const renamed = (who: Who): Who => {
    if (who.kind === "dns")
      return { ...who, certificates: certificates.renamed.get(who.certificates) ?? who.certificates };
    if (who.kind === "jwt") return { ...who, issuer: issuers.renamed.get(who.issuer) ?? who.issuer };
    return who.kind === "token" ? { ...who, token: tokens.renamed.get(who.token) ?? who.token } : who;
  };
  const former = before.rules.map((rule) => ({ ...rule, who: renamed(rule.who) }));
  return {
    rules: changesOf(ruleKind, pairs(ruleKind, former, after.rules)),
    trust: [
      ...changesOf(certificatesKind, certificates),
      ...changesOf(issuerKind, issuers),
      ...changesOf(tokenKind, tokens),
      ...settingChanges(before, after),
    ],
  };
}

interface Named {
  name: string;
  line: number;
}

/** Texts of one thing, by what they are. */
type Fields = Record<string, readonly string[]>;

/** How things of one kind are compared. */
interface Kind<T> {
  name: Change["kind"];
  /** What stays when it gets another name. */
  keyOf(each: T): string;
  valuesOf(each: T): Fields;
  /** What another name means for the audit trail. */
  renamed(was: T, is: T): string;
  /** Whether it is about others than before, under the same name; and what that means. */
  replaced?(was: T, is: T): string | undefined;
}

const ruleKind: Kind<Rule> = {
  name: "rule",
  keyOf: (rule) => JSON.stringify(Object.values(ruleKind.valuesOf(rule)).map((texts) => [...texts].sort())),
  valuesOf: (rule) => ({
    who: [whoText(rule.who)],
    roles: rolesOf(rule),
    tenants: tenantTexts(rule.tenants),
    limit: rule.limit === undefined ? [] : [`${rule.limit} calls a second`],
    token: rule.demandsToken ? ["required"] : [],
  }),
  renamed: (was, is) =>
    is.demandsToken
      ? `was ${was.name}, and demands the same`
      : `was ${was.name}, and gives the same: audit rows name ${is.name} from now on`,
};

const optional = (text: string | undefined): string[] => (text === undefined ? [] : [text]);

const certificatesKind: Kind<CertificatesEntry> = {
  name: "certificates",
  keyOf: ({ trustDomain, ca, dns }) => trustDomain ?? JSON.stringify([ca, dns]),
  valuesOf: ({ ca, crl, trustDomain, dns }) => ({
    "trust-domain": optional(trustDomain),
    dns,
    ca: [ca],
    crl: optional(crl),
  }),
  renamed: (was, is) =>
    renamedActors(was, is.trustDomain === undefined ? [`dns:${was.name}:…`, `dns:${is.name}:…`] : []),
};

const issuerKind: Kind<IssuerEntry> = {
  name: "issuer",
  keyOf: ({ trustDomain, issuer }) => JSON.stringify([trustDomain, issuer]),
  valuesOf: ({ issuer, trustDomain, audiences, algorithms, keys, ca, tokenFile, maxLifetimeMs, clockToleranceMs }) => ({
    issuer: optional(issuer),
    "trust-domain": optional(trustDomain),
    audience: audiences,
    algorithms,
    keys: [keys.from === "discovery" ? "by discovery" : keys.at],
    ca: optional(ca),
    "token-file": optional(tokenFile),
    "max-lifetime": [`${maxLifetimeMs / 1000}s`],
    "clock-tolerance": [`${clockToleranceMs / 1000}s`],
  }),
  renamed: (was, is) =>
    renamedActors(was, is.trustDomain === undefined ? [`jwt:${was.name}:…`, `jwt:${is.name}:…`] : []),
  replaced: (was, is) => {
    if (was.issuer === undefined || is.issuer === undefined || was.issuer === is.issuer) return undefined;
    return `jwt:${is.name}:… in the audit trail was somebody else before`;
  },
};

const tokenKind: Kind<StaticToken> = {
  name: "token",
  keyOf: ({ sha256 }) => sha256,
  // Hashes are compared and never shown.
  valuesOf: ({ expires }) => ({ expires: [expires?.toISOString().replace(/T00:00:00.000Z$/, "") ?? "never"] }),
  renamed: (was, is) => renamedActors(was, [`token:${was.name}`, `token:${is.name}`]),
  replaced: (was, is) => (was.sha256 === is.sha256 ? undefined : `is another token: whoever had the former is refused`),
};

function renamedActors({ name }: Named, [before, after]: readonly string[]): string {
  if (before === undefined) return `was ${name}: no caller's name changes`;
  return `was ${name}: its callers, ${before} in the audit trail, are ${after} from now on`;
}

interface Pairs<T> {
  before: ReadonlyMap<string, T>;
  after: ReadonlyMap<string, T>;
  /** Names of old to names of new things, of those that have another. */
  renamed: ReadonlyMap<string, string>;
}

function pairs<T extends Named>({ keyOf }: Kind<T>, old: readonly T[], now: readonly T[]): Pairs<T> {
  const [before, after] = [old, now].map((all) => new Map(all.map((each) => [each.name, each])));
  const gone = old.filter(({ name }) => !after!.has(name));
  const renamed = new Map<string, string>();
  for (const each of now.filter(({ name }) => !before!.has(name))) {
    const former = gone.find((other) => !renamed.has(other.name) && keyOf(other) === keyOf(each));
    if (former !== undefined) renamed.set(former.name, each.name);
  }
  return { before: before!, after: after!, renamed };
}

/** Lists changes in the order of the new file, then what is gone. */
function changesOf<T extends Named>(kind: Kind<T>, { before, after, renamed }: Pairs<T>): Change[] {
  const formerName = new Map([...renamed].map(([was, is]) => [is, was]));
  const removed = [...before.values()].filter(({ name }) => !after.has(name) && !renamed.has(name));
  return [
    ...[...after.values()].flatMap((is): Change[] => {
      const named = { kind: kind.name, name: is.name, line: is.line };
      const was = before.get(formerName.get(is.name) ?? is.name);
      if (was === undefined) return [{ change: "added", ...named, values: valuesBetween({}, kind.valuesOf(is)) }];
      const values = valuesBetween(kind.valuesOf(was), kind.valuesOf(is));
      if (was.name !== is.name) return [{ change: "renamed", ...named, note: kind.renamed(was, is), values }];
      const note = kind.replaced?.(was, is);
      if (note === undefined && values.length === 0) return [];
      return [{ change: "changed", ...named, ...(note !== undefined && { note }), values }];
    }),
    ...removed.map((was): Change => {
      const values = valuesBetween(kind.valuesOf(was), {});
      return { change: "removed", kind: kind.name, name: was.name, line: was.line, values };
    }),
  ];
}

function valuesBetween(before: Fields, after: Fields): Values {
  return Object.keys({ ...before, ...after }).flatMap((what) => {
    const [was, is] = [before[what] ?? [], after[what] ?? []];
    const gone = was.filter((text) => !is.includes(text));
    const come = is.filter((text) => !was.includes(text));
    return gone.length + come.length === 0 ? [] : [{ what, gone, come }];
  });
}

function settingChanges(before: Policy, after: Policy): Change[] {
  const settings = ({ separation, twoPersonDestruction }: Policy) => ({
    separation: [separation ? "on" : "off"],
    destruction: [twoPersonDestruction ? "two-person" : "one-person"],
  });
  return valuesBetween(settings(before), settings(after)).map((value) => ({
    change: "changed",
    kind: "policy",
    name: value.what,
    values: [value],
  }));
}
