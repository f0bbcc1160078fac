/** `policy check`: is a policy right, and what does it let whom do? */
import { realTime } from "../../runtime/time.ts";
import type { Policy, ReadPolicy } from "../../auth/policy/policy.ts";
import type { PolicyProblem } from "../../auth/policy/text.ts";
import type { Rule } from "../../auth/policy/rules.ts";
import { mixedRoles } from "../../auth/policy/separation.ts";
import { type Role, roles } from "../../call/roles.ts";
import { type Command, exitCode, jsonOption } from "../command.ts";
import { rolesOf, ruleJson, tenantsText, whoText } from "../policy/words.ts";
import { printJson, printLine, printTable, problemsCounted } from "../print.ts";
import { bad, type Styled, warning } from "../styled.ts";

export const policyCheck: Command = {
  name: "policy check",
  summary: "Checks a policy, and shows who may do what for which tenants.",
  operand: "FILE",
  options: [
    { name: "no-files", description: "do not read the files that the policy names, as on another machine" },
    jsonOption,
  ],
  details: [
    "Names every problem with its line, then what is allowed and should be looked at, then the rules, and which rules give each role. Fails when",
    "there is a problem, also with a file that the policy names (ca, crl, jwks-file, bundle-file), whose path begins at the policy's folder. No",
    "issuer is asked. In profile prod the service refuses http: addresses, and files that everybody can write, of which this only warns.",
    "",
  ],
  async run(options, file) {
    const { checkPolicyFile } = await import("../policy/file.ts");
    const read = checkPolicyFile(file, { withFiles: options["no-files"] !== true, nowMs: realTime.now().getTime() });
    if (options.json === true) printJson(checkJson(file, read));
    else printCheck(file, read);
    return read.problems.length === 0 ? exitCode.ok : exitCode.failed;
  },
};

function printCheck(file: string, { policy, problems, warnings }: ReadPolicy): void {
  const row = (word: Styled) => (each: PolicyProblem) => [word, `line ${each.line}`, each.text];
  const findings = [...problems.map(row(bad("problem"))), ...warnings.map(row(warning("warning")))];
  printTable(findings);
  if (findings.length > 0) printLine("");
  if (policy !== undefined) {
    printTable([["rule", "line", "roles", "tenants", "who"], ...policy.rules.map(ruleRow)]);
    printLine("");
    printRoles(policy);
    printLine("");
    const several = callersOf(policy).filter(({ rules }) => rules.length > 1);
    if (several.length > 0) {
      printTable([["caller of several rules", "rules", "holds"], ...several.map(callerRow)]);
      printLine("");
    }
  }
  const counted = [problemsCounted(problems.length), warningsCounted(warnings.length)];
  if (policy !== undefined) counted.push(`separation ${onOff(policy)}`, `destruction by ${persons(policy)}`);
  printLine(`${file}: ${counted.join(", ")}`);
}

function warningsCounted(count: number): string {
  return `${count === 0 ? "no" : count} warning${count === 1 ? "" : "s"}`;
}

const onOff = ({ separation }: Policy) => (separation ? "on" : "off");
const persons = ({ twoPersonDestruction }: Policy) => (twoPersonDestruction ? "two persons" : "one person");

function ruleRow(rule: Rule): string[] {
  if (rule.demandsToken) return [rule.name, String(rule.line), "none: demands a token", "", whoText(rule.who)];
  return [rule.name, String(rule.line), rolesOf(rule).join(", "), tenantsText(rule.tenants), whoText(rule.who)];
}

function rulesGiving(policy: Policy, role: Role): string[] {
  return policy.rules.filter((rule) => rule.roles.has(role)).map(({ name }) => name);
}

/** What nobody has is one line: most policies leave roles out. */
function printRoles(policy: Policy): void {
  const given = roles.map((role) => ({ role, names: rulesGiving(policy, role) }));
  const [some, none] = [given.filter(({ names }) => names.length > 0), given.filter(({ names }) => names.length === 0)];
  const rows = some.map(({ role, names }) => [role, String(names.length), names.join(", ")]);
  printTable([["role", "rules", "given by"], ...rows]);
  if (none.length > 0) printLine(`nobody may ${none.map(({ role }) => role).join(", ")}`);
}

interface CallerOfRules {
  who: string;
  rules: string[];
  roles: Role[];
  /** Why some of the roles are refused for tenants that several rules have in common. */
  apart: string | undefined;
  /** The rule that demands a token beside the caller's certificate. */
  tokenDemandedBy: string | undefined;
}

/** Callers by what rules call them. Rules that call the same caller otherwise are warnings of the policy. */
function callersOf({ rules, separation }: Policy): CallerOfRules[] {
  return [...Map.groupBy(rules, ({ who }) => whoText(who))].map(([who, own]) => {
    const held = new Set(own.flatMap(rolesOf));
    const inOrder = roles.filter((role) => held.has(role));
    const apart = separation ? mixedRoles(held) : undefined;
    const tokenDemandedBy = own.find(({ demandsToken }) => demandsToken)?.name;
    return { who, rules: own.map(({ name }) => name), roles: inOrder, apart, tokenDemandedBy };
  });
}

function callerRow({ who, rules, roles: held, apart, tokenDemandedBy }: CallerOfRules): string[] {
  const refused = apart === undefined ? "" : `; for a tenant in common, ${apart}`;
  const demand =
    tokenDemandedBy === undefined ? "" : `; nothing by its certificate: ${tokenDemandedBy} demands a token`;
  return [who, String(rules.length), `${held.join(", ")}${refused}${demand}`];
}

function checkJson(file: string, { policy, problems, warnings }: ReadPolicy) {
  const findings = { file, ok: problems.length === 0, problems, warnings };
  if (policy === undefined) return findings;
  return {
    ...findings,
    separation: policy.separation ? "on" : "off",
    destruction: policy.twoPersonDestruction ? "two-person" : "one-person",
    rules: policy.rules.map(ruleJson),
    roles: Object.fromEntries(roles.map((role) => [role, rulesGiving(policy, role)])),
    callers: callersOf(policy).map(({ apart, tokenDemandedBy, ...caller }) => ({
      ...caller,
      ...(apart !== undefined && { apart }),
      ...(tokenDemandedBy !== undefined && { token_demanded_by: tokenDemandedBy }),
    })),
  };
}
