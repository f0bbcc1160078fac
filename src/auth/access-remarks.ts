/** What an operator should know of the policy in force, of its issuers and of its revocation lists, a sentence each. */
import type { Role } from "../call/roles.ts";
import type { InForce } from "./in-force.ts";

/** Callers, by name, whose rules add up to roles that are kept apart, each with the role that it is refused. */
export type MixedCallers = ReadonlyMap<string, Role>;

const mixedShown = 5;

export function accessRemarks(current: InForce, mixed: MixedCallers, now: Date): string[] {
  const { files } = current;
  return [
    ...(files.policy.separation ? [] : ["The policy has separation: off, so who may decrypt may also destroy."]),
    ...mixedRemarks(mixed),
    ...issuerRemarks(current),
    ...crlRemarks(files, now),
  ];
}

function mixedRemarks(mixed: MixedCallers): string[] {
  const shown = [...mixed].slice(0, mixedShown);
  const more = mixed.size - shown.length;
  return [
    ...shown.map(([name, role]) => `${name} is refused ${role}: its rules add up to roles that are kept apart.`),
    ...(more > 0 ? [`Of ${more} more callers the same is to be said.`] : []),
  ];
}

function issuerRemarks({ issuers }: InForce): string[] {
  return issuers.all.flatMap(({ entry, keys }) => {
    const { problem, ageMs } = keys.state();
    if (problem === undefined) return [];
    const left = ageMs === undefined ? "There are none yet" : `The last ones are ${Math.floor(ageMs / 60_000)} min old`;
    return [`The keys of issuer ${entry.name} cannot be had: ${problem}. ${left}.`];
  });
}

function crlRemarks({ crlUntilMs, crlDueMs }: InForce["files"], now: Date): string[] {
  if (crlUntilMs === undefined || crlDueMs === undefined || now.getTime() < crlDueMs) return [];
  const until = new Date(crlUntilMs).toISOString();
  if (now.getTime() < crlUntilMs) return [`A revocation list of the policy is out of date from ${until} on: renew it.`];
  return [`A revocation list of the policy is out of date since ${until}, and certificates are refused: renew it.`];
}
