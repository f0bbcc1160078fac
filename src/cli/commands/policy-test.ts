/** `policy test`: does a policy decide as expected? */
import { createExplain, type Decision, decisionText } from "../../auth/explain.ts";
import { nameOf } from "../../auth/policy/identity.ts";
import type { Policy } from "../../auth/policy/policy.ts";
import { realTime } from "../../runtime/time.ts";
import { type Command, exitCode, jsonOption } from "../command.ts";
import type { Case } from "../policy/cases.ts";
import { placeText } from "../policy/question.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { bad, good, type Styled } from "../styled.ts";

export const policyTest: Command = {
  name: "policy test",
  summary: "Tests a policy: whether it decides cases as they expect.",
  operand: "FILE CASES",
  options: [jsonOption],
  details: [
    "CASES is YAML, read as strictly as the policy. A case is a question of policy explain, and the decision that is expected:",
    "  cases:",
    "    - name: support reads acme         # optional",
    "      as: jwt:sso:ann                  # the caller, as policy explain takes it",
    "      claims: { kms_tenants: [acme] }  # of a caller of an issuer: names or JSON Pointers, each with a text or a list",
    "      rpc: DecryptPii                  # or role: decrypt; one or a list",
    "      tenant: [acme, globex-eu]        # one or a list; without it, all tenants",
    "      expect: allowed                  # or denied",
    "      rule: support                    # optional: the rule that must give it",
    "Files that the policy names are not read. Exit code 1 if a decision is another, or if one of the two files has problems.",
    "",
  ],
  async run(options, file, casesFile) {
    const { goodCases, goodPolicy } = await import("../policy/file.ts");
    const policy = goodPolicy(file!);
    const cases = goodCases(casesFile!, { policy, now: realTime.now().getTime() });
    const byCase = resultsOf(cases, policy);
    const results = byCase.flat();
    const failed = results.filter(({ passed }) => !passed).length;
    const counts = { passed: results.length - failed, failed };
    if (options.json === true) {
      printJson({ policy: file, cases: casesFile, ok: failed === 0, ...counts, results: results.map(resultJson) });
    } else {
      printTable(cases.flatMap((each, at) => [...byCase[at]!.flatMap(failedRow), ...noteRows(each)]));
      printLine((failed === 0 ? good : bad)(`${counts.passed} passed, ${counts.failed} failed`));
    }
    return failed === 0 ? exitCode.ok : exitCode.failed;
  },
};

interface Result {
  of: Case;
  question: Case["questions"][number];
  decision: Decision;
  passed: boolean;
}

/** Returns the results of each case. */
function resultsOf(cases: readonly Case[], policy: Policy): Result[][] {
  const explain = createExplain(policy);
  return cases.map((each) => {
    const { decide } = explain(each.asked.identity, each.asked.byCertificate);
    return each.questions.map((question) => {
      const decision = decide(question.role, question.isForAll ? undefined : question.tenant);
      return { of: each, question, decision, passed: isExpected(decision, each) };
    });
  });
}

function isExpected(decision: Decision, { expected, rule }: Case): boolean {
  if (!decision.allowed) return expected === "denied";
  return expected === "allowed" && (rule === undefined || rule === decision.rule);
}

const titleOf = ({ name, asked }: Case) => name ?? nameOf(asked.identity);

function failedRow({ of, question, decision, passed }: Result): (string | Styled)[][] {
  if (passed) return [];
  const expected = of.rule === undefined ? of.expected : `${of.expected} by ${of.rule}`;
  const asked = `${question.rpc ?? question.role} for ${placeText(question)}`;
  const text = `${asked}: expected ${expected}, is ${decisionText(decision)}`;
  return [[bad("failed"), `line ${of.line}`, `${titleOf(of)}: ${text}`]];
}

function noteRows(each: Case): string[][] {
  return each.asked.notes.map((note) => ["note", `line ${each.line}`, `${titleOf(each)}: ${note}`]);
}

function resultJson({ of: { line, name, asked, expected, rule }, question, decision, passed }: Result) {
  return {
    line,
    name,
    passed,
    caller: nameOf(asked.identity),
    notes: asked.notes,
    rpc: question.rpc,
    role: question.role,
    tenant: question.isForAll ? null : (question.tenant ?? null),
    expected: { allowed: expected === "allowed", rule },
    decision,
  };
}
