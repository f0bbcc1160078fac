/** `policy explain`: what may this caller do, and why? */
import { realTime } from "../../runtime/time.ts";
import {
  type Decision,
  decisionText,
  type ExplainedRule,
  type Explanation,
  explain,
  grantedTenants,
} from "../../auth/explain.ts";
import { tenantIdPattern } from "../../call/ids.ts";
import { roles } from "../../call/roles.ts";
import { proxiesIn } from "../../config/load.ts";
import {
  type Command,
  type ExitCode,
  exitCode,
  jsonOption,
  type OptionValues,
  textOf,
  UsageError,
} from "../command.ts";
import type { Asked } from "../policy/identity.ts";
import { placeText, type Question, questionOf, tenantForm } from "../policy/question.ts";
import { rolesOf } from "../policy/words.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { bad, good } from "../styled.ts";

export const policyExplain: Command = {
  name: "policy explain",
  summary: "Explains what a policy lets a caller do: each rule, and why it matches or not.",
  operand: "FILE",
  options: [
    {
      name: "as",
      value: "IDENTITY",
      description:
        "the caller: spiffe://…, dns:ENTRY:NAME[,NAME…] of a certificate, jwt:ISSUER:SUBJECT, or token:NAME of a static token",
    },
    {
      name: "claim",
      value: "NAME=TEXT",
      repeatable: true,
      description: "a claim of jwt:ISSUER:SUBJECT, by a name or a JSON Pointer; again for a list",
    },
    {
      name: "token-file",
      value: "FILE",
      description: "the caller has this token, judged as the service does; - is standard input",
    },
    { name: "fetch", description: "ask the token's issuer for its keys, as the service does, if they are in no file" },
    { name: "issuer", value: "NAME", description: "the caller has a token of this entry of issuers; needs --claims" },
    { name: "claims", value: "FILE", description: "the token's claims as JSON, of which sub alone is shown" },
    { name: "rpc", value: "RPC", description: "may the caller do this, as in EncryptPii?" },
    { name: "tenant", value: "TENANT", description: "for this tenant, instead of all of them" },
    jsonOption,
  ],
  details: [
    "Answers as the service does once it has accepted the caller's credential. Exit code 1 if the RPC is denied, or the token refused: why is",
    "said, and the token never. With --claims and --claim nothing is verified.",
    "",
  ],
  async run(options, file) {
    const [{ goodPolicy }, { inFolder }, { identityFrom }] = await Promise.all([
      import("../policy/file.ts"),
      import("../../auth/policy-files.ts"),
      import("../policy/identity.ts"),
    ]);
    const policy = inFolder(goodPolicy(file), file);
    const question = questionFrom(options);
    const { role, tenant, isForAll } = question;
    const asked = await identityFrom(options, policy, { now: () => realTime.now().getTime(), proxies: proxiesIn() });
    const { identity, byCertificate, notes } = asked;
    const explanation = explain(policy, identity, byCertificate);
    const decision = role && explanation.decide(role, isForAll ? undefined : tenant);
    const answer = { explanation, notes, question, decision };
    if (options.json === true) printJson(answerJson(answer));
    else printAnswer(answer);
    return codeOf(decision);
  },
};

interface Answer {
  explanation: Explanation;
  notes: Asked["notes"];
  question: Question;
  decision: Decision | undefined;
}

function questionFrom(options: OptionValues): Question {
  const [rpc, tenant] = [textOf(options, "rpc"), textOf(options, "tenant")];
  if (tenant !== undefined && !tenantIdPattern.test(tenant)) throw new UsageError(`--tenant ${tenantForm}`);
  return rpc === undefined ? { rpc, role: undefined, tenant, isForAll: false } : questionOf(rpc, tenant);
}

function codeOf(decision: Decision | undefined): ExitCode {
  return decision === undefined || decision.allowed ? exitCode.ok : exitCode.failed;
}

function printAnswer({ explanation, notes, question, decision }: Answer): void {
  const { rpc, role, tenant, isForAll } = question;
  const where = placeText(question);
  printTable([
    ["caller", explanation.identity],
    ...(rpc === undefined ? [] : [["rpc", `${rpc}, which needs ${role} for ${where}`]]),
    ...notes.map((note) => ["note", note]),
  ]);
  printLine("");
  printTable(explanation.rules.map(ruleRow));
  printLine("");
  if (decision === undefined) printAll(explanation, tenant, where);
  else if (decision.allowed) printLine(good(decisionText(decision)));
  else printLine(bad(`${decisionText(decision)}${isForAll ? "" : tenantHint(tenant)}`));
}

function ruleRow(each: ExplainedRule): string[] {
  return [each.rule.name, `line ${each.rule.line}`, ruleText(each)];
}

function ruleText(each: ExplainedRule): string {
  if (each.grant) return `matches: ${rolesOf(each.rule).join(", ")} for ${grantedTenants(each.rule, each.grant)}`;
  return each.demands ? `matches: ${each.why}` : each.why;
}

/** Prints every role that a rule gives, where no rpc is asked about. */
function printAll({ decide, demand }: Explanation, tenant: string | undefined, where: string): void {
  if (demand !== undefined) return void printLine(decisionText(decide("sign", tenant)));
  const given = roles
    .map((role) => [role, decide(role, tenant)] as const)
    .filter(([, decision]) => decision.allowed || decision.apart);
  printLine(given.length === 0 ? `nothing for ${where}${tenantHint(tenant)}` : `for ${where}`);
  printTable(
    given.map(([role, decision]) => [role, decisionText(decision)]),
    "  ",
  );
}

function tenantHint(tenant: string | undefined): string {
  return tenant === undefined ? "; --tenant asks for one" : "";
}

function answerJson({ explanation: { identity, rules, decide }, notes, question, decision }: Answer) {
  const { rpc, role, tenant, isForAll } = question;
  return {
    caller: identity,
    notes,
    rules: rules.map((each) => ({
      name: each.rule.name,
      line: each.rule.line,
      matches: each.grant !== undefined || each.demands,
      ...ruleAnswer(each),
    })),
    tenant: isForAll ? null : (tenant ?? null),
    ...(rpc === undefined || role === undefined || decision === undefined
      ? { roles: Object.fromEntries(roles.map((each) => [each, decide(each, tenant)])) }
      : { rpc, role, ...decision }),
  };
}

function ruleAnswer(each: ExplainedRule) {
  if (each.grant) return { roles: rolesOf(each.rule), tenants: grantedTenants(each.rule, each.grant) };
  return { ...(each.demands && { token: "required" }), why: each.why };
}
