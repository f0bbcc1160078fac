/** Texts to the reader of policies: problems with lines of the file, or a policy whose rules can be matched. It never throws. */
import { createDemands, createMatcher } from "../../../src/auth/policy/grants.ts";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { human, prometheus, workload } from "../../support/policy-fixture.ts";
import { randomPolicyText } from "./policy-texts.ts";
import type { TargetKind } from "./target.ts";

const identities = [prometheus, workload("/a/b"), human({ a: { b: "c" } }, "acme")];

export const policies: TargetKind = {
  open: () => ({
    input(random) {
      const text = randomPolicyText(random);
      return { shown: JSON.stringify(text), run: () => readAnswer(text) };
    },
    close() {},
  }),
  far: { way: "read", atLeast: 0.01 },
};

/** `read` or `refused`. Throws if the answer is neither, or has no words or lines for people. */
export function readAnswer(text: string): string {
  const { policy, problems, warnings } = readPolicy(text);
  const lines = text.split("\n").length;
  const isWhole = policy !== undefined ? problems.length === 0 : problems.length > 0 && problems.length <= 100;
  const areInFile = [...problems, ...warnings].every(
    ({ line, text: words }) => line >= 1 && line <= lines && words.length > 3 && words.length < 1_000,
  );
  if (!isWhole || !areInFile) throw new Error(`an answer that is none: ${JSON.stringify({ problems, warnings })}`);
  if (policy === undefined) return "refused";
  const [match, demandOn] = [createMatcher(policy.rules), createDemands(policy.rules)];
  const isEmpty = identities.some((identity) => match(identity).some(({ roles }) => roles.size === 0));
  if (isEmpty) throw new Error("a grant without roles");
  const isDemanded = identities.some((identity) => demandOn(identity)?.demandsToken === false);
  if (isDemanded) throw new Error("a demand of a rule that gives");
  return "read";
}
