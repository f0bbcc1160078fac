/** `audit verify`: is the audit trail whole, and does it still hold what it held when its heads were noted elsewhere? */
import { type Command, exitCode, jsonOption, type OptionValues, textOf, textsOf, UsageError } from "../command.ts";
import { printJson, printJsonText, printLine, problemsCounted } from "../print.ts";
import { bad, good } from "../styled.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

interface Head {
  writerId: string;
  sequence: bigint;
  /** Lower-case hex. */
  mac: string;
}

export interface VerifiedAudit {
  ok?: boolean;
  /** 64-bit numbers are strings in protobuf's JSON, and zeros are left out. */
  events?: string;
  heads?: { writerId: string; sequence: string; mac: string }[];
  problems?: { writerId?: string; sequence?: string; what: string }[];
  problemCount?: string;
  headsTotal?: string;
}

const timeoutMs = 280_000;

export const auditVerify: Command = {
  name: "audit verify",
  summary: "Verifies the audit trail of a running service, against heads noted earlier too.",
  options: [
    ...serviceOptions,
    {
      name: "head",
      value: "WRITER:SEQUENCE:MAC",
      repeatable: true,
      description: "a head as this command printed it earlier; may be given several times",
    },
    {
      name: "heads-after",
      value: "WRITER",
      description: "the heads of writers behind this one: an answer has 10,000 at most",
    },
    jsonOption,
  ],
  details: [
    "Prints the head of every writer. Keep them where who writes the database cannot: a rollback of the whole database shows against them only.",
    ...serviceDetails,
  ],
  async run(options) {
    const expected = headsFrom(options);
    const path = "/fluo.kms.v1.KeyAdminService/VerifyAudit";
    const headsAfter = textOf(options, "heads-after") ?? "";
    const body = headsAfter === "" ? {} : { headsAfter }; // which services of before do not know
    const { text, json } = await callService(options, { method: "POST", path, body, timeoutMs });
    const answer = json as VerifiedAudit;
    const headProblems = compare(expected, answer, headsAfter);
    if (options.json !== true) print(answer, headProblems);
    else if (expected.length === 0) printJsonText(text);
    else printJson({ ...json, headProblems });
    return answer.ok === true && headProblems.length === 0 ? exitCode.ok : exitCode.failed;
  },
};

function headsFrom(options: OptionValues): Head[] {
  return textsOf(options, "head").map((text) => {
    const [, writerId, sequence, mac] = /^([0-9a-f]{32}):(\d{1,16}):([0-9a-f]{64})$/.exec(text) ?? [];
    if (mac === undefined) throw new UsageError("--head is WRITER:SEQUENCE:MAC, as audit verify prints it");
    return { writerId: writerId!, sequence: BigInt(sequence!), mac };
  });
}

function compare(expected: readonly Head[], { heads = [], headsTotal }: VerifiedAudit, headsAfter: string): string[] {
  const last = heads.length < Number(headsTotal ?? 0) ? heads.at(-1)?.writerId : undefined;
  const present = new Map(heads.map((head) => [head.writerId, head]));
  return expected.flatMap(({ writerId, sequence, mac }) => {
    const head = present.get(writerId);
    const rolledBack = "the database was rolled back, or is another";
    if (writerId <= headsAfter || (last !== undefined && writerId > last)) {
      return [`writer ${writerId} is not among the heads of this answer: compare it with another --heads-after`];
    }
    if (head === undefined) return [`writer ${writerId} is gone: ${rolledBack}`];
    const found = BigInt(head.sequence ?? 0);
    if (found < sequence) return [`writer ${writerId} had ${sequence} rows and has ${found}: ${rolledBack}`];
    if (found > sequence || head.mac === mac) return [];
    return [`writer ${writerId} has another row ${sequence} than it had: ${rolledBack}`];
  });
}

function print(
  { ok, events = "0", heads = [], headsTotal = "0", problems = [], problemCount = "0" }: VerifiedAudit,
  headProblems: string[],
): void {
  for (const { writerId = "", what } of problems)
    printLine(bad("problem", `: ${writerId && `writer ${writerId}: `}${what}`));
  for (const problem of headProblems) printLine(bad("problem", `: ${problem}`));
  for (const { writerId, sequence, mac } of heads) printLine(`head ${writerId}:${sequence}:${mac}`);
  if (heads.length < Number(headsTotal)) printLine(`${heads.length} of ${headsTotal} heads: --heads-after has others`);
  const count = BigInt(problemCount) + BigInt(headProblems.length);
  const said = `${events} events, ${ok === true || count > 0n ? problemsCounted(count) : "not verified"}`;
  printLine((ok === true && count === 0n ? good : bad)(said));
}
