/** Cases of `policy test`: callers, what is asked of them, and the decisions that are expected. They are read as strictly as a policy. */
import { createReader, type Fields, noEntry, type Reader } from "../../auth/policy/fields.ts";
import { type PolicyNode, type PolicyProblem, readPolicyText } from "../../auth/policy/text.ts";
import type { Policy } from "../../auth/policy/policy.ts";
import { noRole } from "../../auth/policy/rules.ts";
import { quote } from "../../auth/policy/quote.ts";
import { tenantIdPattern } from "../../call/ids.ts";
import { type Role, roles } from "../../call/roles.ts";
import { Failure, UsageError } from "../command.ts";
import { type Asked, type GivenClaim, namedCaller } from "./identity.ts";
import { type Question, questionOf, tenantForm } from "./question.ts";

export interface Case {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly name: string | undefined;
  readonly asked: Asked;
  /** One for each rpc or role, and each tenant. */
  readonly questions: readonly (Question & { role: Role })[];
  readonly expected: "allowed" | "denied";
  /** The rule that must give it. */
  readonly rule: string | undefined;
}

export interface ReadCases {
  cases: readonly Case[];
  /** Sorted by line; with one of them the cases are of no use. */
  problems: readonly PolicyProblem[];
}

interface CaseParts {
  policy: Policy;
  now: number;
  reader: Reader;
}

const known = ["name", "as", "claims", "rpc", "role", "tenant", "expect", "rule"];
/** Decisions of one case. */
const mostDecisions = 10_000;
const expectations = ["allowed", "denied"] as const;

export function readCases(text: string, { policy, now }: Omit<CaseParts, "reader">): ReadCases {
  const tree = readPolicyText(text);
  if (!("kind" in tree)) return { cases: [], problems: tree };
  const reader = createReader();
  const file = reader.fields(tree, ["cases"], "the file");
  const nodes = reader.list(file.get("cases"));
  if (nodes.length === 0) file.problem('needs cases, a list: each begins with "- as: …"');
  const cases = nodes.map((node) => readCase(node, { policy, now, reader })).filter((each) => each !== undefined);
  return { cases, problems: reader.problems.toSorted((a, b) => a.line - b.line) };
}

/** Undefined for a case without a caller or an expectation, which is told. */
function readCase(node: PolicyNode, { policy, now, reader }: CaseParts): Case | undefined {
  const fields = reader.fields(node, known, "a case");
  const name = fields.optional("name")?.text;
  if (name !== undefined) fields.what = `case ${quote(name)}`;
  const as = fields.text("as");
  const claims = readClaims(fields.get("claims"), fields.what, reader);
  const asked = as === "" ? undefined : tried(fields, "as", reader, () => namedCaller(as, claims, { policy, now }));
  const questions = readQuestions(fields, reader);
  const given = fields.text("expect");
  const expected = expectations.find((each) => each === given);
  if (given !== "" && expected === undefined) {
    fields.problem(`expect must be ${expectations.join(" or ")}`);
  }
  const rule = fields.optional("rule")?.text;
  if (rule !== undefined && expected === "denied") fields.problem("no rule denies: rule stands beside expect: allowed");
  if (rule !== undefined) {
    const names = policy.rules.map((each) => each.name);
    if (!names.includes(rule)) fields.problem(noEntry("rules", rule, names));
  }
  return asked && expected && { line: fields.line, name, asked, questions, expected, rule };
}

function readQuestions(fields: Fields, reader: Reader): Case["questions"] {
  const texts = (key: string) => {
    const node = fields.get(key);
    if (node?.kind === "list" && node.items.length === 0) fields.problem(`${key} names none`);
    return reader.texts(node, `${fields.what}: ${key}`);
  };
  if ((fields.get("rpc") === undefined) === (fields.get("role") === undefined))
    fields.problem("needs rpc or role, one of the two");
  const tenants = texts("tenant");
  for (const { text, line } of tenants) {
    if (!tenantIdPattern.test(text)) reader.problem(line, `${fields.what}: tenant ${tenantForm}`);
  }
  const eachTenant = fields.get("tenant") ? tenants.map(({ text }) => text) : [undefined];
  const [rpcs, given] = [texts("rpc"), texts("role")];
  if ((rpcs.length + given.length) * eachTenant.length > mostDecisions) {
    fields.problem(`asks for more than ${mostDecisions.toLocaleString("en")} decisions`);
    return [];
  }
  const byRpc = rpcs.flatMap(({ text }) => {
    const question = tried(fields, "rpc", reader, () => questionOf(text, undefined));
    return question === undefined ? [] : eachTenant.map((tenant) => ({ ...question, tenant }));
  });
  const byRole = given.flatMap(({ text, line }) => {
    const role = roles.find((each) => each === text);
    if (role === undefined) reader.problem(line, `${fields.what}: ${noRole(text)}`);
    return role === undefined ? [] : eachTenant.map((tenant) => ({ rpc: undefined, role, tenant, isForAll: false }));
  });
  return [...byRpc, ...byRole];
}

function readClaims(node: PolicyNode | undefined, what: string, reader: Reader): GivenClaim[] {
  if (node === undefined) return [];
  if (node.kind !== "map") {
    reader.problem(node.line, `${what}: claims must be a mapping from names or JSON Pointers to texts`);
    return [];
  }
  return node.entries.map(({ key, value }) => {
    const texts = reader.texts(value, `${what}: claim ${quote(key)}`).map(({ text }) => text);
    return [key, value.kind === "list" ? texts : (texts[0] ?? "")];
  });
}

/** The result, or a problem at the key's line if what is given is wrong usage on the command line. */
function tried<T>(fields: Fields, key: string, { problem }: Reader, make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof Failure)) throw error;
    problem(fields.get(key)!.line, `${fields.what}: ${error.message}`);
    return undefined;
  }
}
