/** Advice for Validate on a policy that is good enough to be in force. */
import type { Role } from "../../call/roles.ts";
import { type Notice, notice } from "../../notices.ts";
import type { Policy } from "./policy.ts";

export interface PolicyAdvice {
  /** What is worth saying, and wrong with no policy. */
  readonly recommendations: readonly Notice[];
  /** What is wrong. */
  readonly faults: readonly Notice[];
}

const opening: readonly Role[] = ["decrypt", "decrypt-data-key"];
const shown = 5;

export function adviceOn(policy: Policy, profile: string): PolicyAdvice {
  const endless = policy.tokens.filter(({ expires }) => expires === undefined);
  const boundless = policy.rules.filter(({ tenants, roles }) => tenants.all && opening.some((role) => roles.has(role)));
  return {
    recommendations: [
      ...advice(endless, (names) =>
        notice("TOKENS_WITHOUT_END", `Give static tokens in the policy an end, by expires: ${names}.`),
      ),
      ...advice(boundless, (names) =>
        notice(
          "DECRYPT_FOR_ALL",
          `Name tenants, ids or prefixes, in rules that give decrypt or decrypt-data-key for all: ${names}.`,
        ),
      ),
      ...(profile === "prod" && !policy.twoPersonDestruction ? [twoPersonAdvice] : []),
    ],
    faults: policy.separation ? [] : [separationAdvice],
  };
}

const twoPersonAdvice = notice(
  "ONE_PERSON_DESTRUCTION",
  "Set destruction: two-person in the policy: with one stolen credential nobody can then have a key destroyed.",
);

const separationAdvice = notice(
  "SEPARATION_OFF",
  "Set separation: on in the policy, and give destroy to callers that may not decrypt: it is off, so who read data may destroy its key.",
);

function advice(found: readonly { name: string }[], text: (names: string) => Notice): Notice[] {
  if (found.length === 0) return [];
  const names = found.slice(0, shown).map(({ name }) => name);
  const more = found.length - names.length;
  return [text(more === 0 ? names.join(", ") : `${names.join(", ")} and ${more} more`)];
}
