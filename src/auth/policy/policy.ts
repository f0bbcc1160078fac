/**
 * The policy: whom the service believes (trust.ts), and what each caller may do (rules.ts). One file, whole or not at all. Rules add up;
 * nothing forbids, nothing comes before anything, and what no rule gives is denied.
 */
import { unconfirmed } from "./confirmation.ts";
import { overruled } from "./demands.ts";
import { type Overlap, overlapsAmong } from "./overlap.ts";
import { createReader, type Fields, type Reader } from "./fields.ts";
import { type PolicyProblem, readPolicyText } from "./text.ts";
import { readRules, type Rule } from "./rules.ts";
import { quote } from "./quote.ts";
import { readTrust, type Trust } from "./trust.ts";

export interface Policy extends Trust {
  readonly rules: readonly Rule[];
  /** Whether nobody may both open what was encrypted and destroy its key, or both sign and declare a signing key compromised. */
  readonly separation: boolean;
  /** Whether a second caller must confirm that a key is destroyed. */
  readonly twoPersonDestruction: boolean;
}

export interface ReadPolicy {
  /** Undefined where there are problems. */
  policy: Policy | undefined;
  /** Sorted by line. */
  problems: readonly PolicyProblem[];
  /** What is allowed and should be looked at. */
  warnings: readonly PolicyProblem[];
}

/** Without these nobody could run the service. */
const neededRoles = ["operate", "key-admin"] as const;
const known = ["version", "certificates", "issuers", "tokens", "rules", "separation", "destruction"];

export function readPolicy(text: string): ReadPolicy {
  const tree = readPolicyText(text);
  if (!("kind" in tree)) return { policy: undefined, problems: tree, warnings: [] };
  const reader = createReader();
  const fields = reader.fields(tree, known, "the policy");
  if (!fields.isMap) return { policy: undefined, problems: reader.problems, warnings: [] };
  const version = fields.text("version");
  if (version !== "" && version !== "1") reader.problem(fields.get("version")!.line, "version: 1 is the one there is");
  const separation = choice(reader, fields, "separation", ["on", "off"]) === "on";
  const twoPersonDestruction = choice(reader, fields, "destruction", ["one-person", "two-person"]) === "two-person";
  const trust = readTrust(fields, reader);
  const rules = readRules(fields, { trust, separation, reader });
  const useless = overruled(rules, trust);
  for (const { rule, demand } of useless) {
    const why = `rule ${quote(demand.name)} demands a token beside that certificate, which then counts alone`;
    reader.warning(rule.line, `rule ${quote(rule.name)} gives nothing: ${why}`);
  }
  warnOfMissing(fields, rules, { reader, useless: new Set(useless.map(({ rule }) => rule)) });
  if (separation && reader.problems.length === 0) warnOfOverlaps(rules, reader);
  if (!separation)
    reader.warning(fields.get("separation")!.line, "separation is off: who may decrypt may also destroy");
  for (const { rule, tenants } of twoPersonDestruction ? unconfirmed(rules) : []) {
    const why = `destruction is by two persons, and no rule gives others destroy for ${tenants}`;
    reader.warning(rule.line, `rule ${quote(rule.name)}: ${why}: nobody could confirm`);
  }
  const inOrder = (some: readonly PolicyProblem[]) => [...some].sort((a, b) => a.line - b.line);
  return {
    policy: reader.problems.length === 0 ? { ...trust, rules, separation, twoPersonDestruction } : undefined,
    problems: inOrder(reader.problems),
    warnings: inOrder(reader.warnings),
  };
}

/** Warns of roles that nobody has, though somebody should. */
function warnOfMissing(
  fields: Fields,
  rules: readonly Rule[],
  { reader, useless }: { reader: Reader; useless: ReadonlySet<Rule> },
): void {
  const node = fields.get("rules");
  if (node?.kind !== "list") return;
  for (const role of neededRoles) {
    if (!rules.some((rule) => rule.roles.has(role) && !useless.has(rule))) {
      reader.warning(node.line, `no rule gives ${role}`);
    }
  }
}

/** Warns of rules by which one caller could have roles that separation keeps apart. */
function warnOfOverlaps(rules: readonly Rule[], reader: Reader): void {
  const { found, isWhole } = overlapsAmong(rules);
  for (const overlap of found) reader.warning(overlap.rule.line, overlapText(overlap));
  if (!isWhole) reader.warning(rules[0]!.line, moreOverlaps);
}

const moreOverlaps = "not all rules were compared: more of them may give one caller roles that separation keeps apart";
const callers = {
  spiffe: ["SPIFFE id", "trust domains"],
  dns: ["certificate", "certificates entries"],
  jwt: ["token", "issuers"],
  token: ["token", "tokens"],
} as const;

function overlapText({ rule, role, other, otherRole, tenants, same }: Overlap): string {
  const both = `rule ${rule.name} gives ${role}, and rule ${other.name} (line ${other.line}) ${otherRole}, for ${tenants}`;
  if (same) return `${both}: their callers are the same, and are refused ${role}`;
  const [caller, entries] = callers[rule.who.kind];
  const mend = `give them other tenants, bounded if callers name them, or other ${entries}`;
  return `${both}: a ${caller} that both match is refused ${role}; ${mend}`;
}

/** Warnings of static tokens that are good no more. */
export function expiredTokens({ tokens }: Policy, nowMs: number): PolicyProblem[] {
  return tokens
    .filter(({ expires }) => expires !== undefined && expires.getTime() <= nowMs)
    .map(({ line, name, expires }) => ({ line, text: `token ${name} expired at ${expires!.toISOString()}` }));
}

/** The first is the default. */
function choice(reader: Reader, fields: Fields, key: string, words: readonly [string, ...string[]]): string {
  const node = fields.optional(key);
  if (node === undefined) return words[0];
  if (!words.includes(node.text)) reader.problem(node.line, `${key} must be ${words.join(" or ")}`);
  return node.text;
}
