/** `policy diff`: what would callers be allowed, and whom would the service trust, that was not so before? */
import { type Command, exitCode, jsonOption } from "../command.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { type Change, type PolicyChanges, policyChanges } from "../policy/changes.ts";

export const policyDiff: Command = {
  name: "policy diff",
  summary: "Shows what changes between two policies: rules, what they give, and whom the policy trusts.",
  operand: "OLD NEW",
  options: [jsonOption],
  details: [
    "Compares what the policies say, not how: order, comments and spelling are no changes. Entries under another name are found by what they",
    "trust, since the names of their callers in the audit trail change with them. Exit code 0 whether or not there are changes.",
    "",
  ],
  async run(options, old, now) {
    const { goodPolicy } = await import("../policy/file.ts");
    const changes = policyChanges(goodPolicy(old!), goodPolicy(now!));
    if (options.json === true) printJson(changes);
    else printChanges(changes);
    return exitCode.ok;
  },
};

const signs = { added: "+", removed: "-", changed: "~", renamed: "~" } as const;

function printChanges({ rules, trust }: PolicyChanges): void {
  for (const each of [...rules, ...trust]) printChange(each);
  if (rules.length + trust.length === 0)
    printLine("no changes: callers may do the same, and the policy trusts the same");
  else printLine(`${counted(rules.length, "rules")}, ${counted(trust.length, "trust")}`);
}

function counted(count: number, what: string): string {
  return `${count === 0 ? "no" : count} change${count === 1 ? "" : "s"} of ${what}`;
}

function printChange({ change, kind, name, line, note, values }: Change): void {
  if (kind === "policy") {
    for (const { gone, come } of values) printLine(`~ ${name} changed: was ${gone.join()}, is ${come.join()}`);
  } else {
    const where = change === "removed" ? `was line ${line}` : `line ${line}`;
    printLine(`${signs[change]} ${kind} ${name} (${where}) ${change}${note === undefined ? "" : `: ${note}`}`);
    printTable(values.flatMap(change === "added" || change === "removed" ? wholeRow : changedRows), "    ");
  }
  printLine("");
}

type Value = Change["values"][number];

const wholeRow = ({ what, gone, come }: Value) => [[what, [...gone, ...come].join(", ")]];

function changedRows({ what, gone, come }: Value): string[][] {
  const row = (sign: string, texts: string[]) => (texts.length === 0 ? [] : [[what, `${sign} ${texts.join(", ")}`]]);
  return [...row("-", gone), ...row("+", come)];
}
