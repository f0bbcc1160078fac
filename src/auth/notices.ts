/** Notices on the policy in force, on its issuers and on its revocation lists. */
import type { Role } from "../call/roles.ts";
import { type Notice, notice } from "../notices.ts";
import type { InForce } from "./in-force.ts";

/** Callers, by name, whose rules add up to roles that are kept apart, each with the role that it is refused. */
export type MixedCallers = ReadonlyMap<string, Role>;

const mixedShown = 5;

export function accessNotices(current: InForce, mixed: MixedCallers, now: Date): Notice[] {
  const { files } = current;
  return [
    ...(files.policy.separation ? [] : [separationOff]),
    ...mixedRemarks(mixed),
    ...issuerRemarks(current),
    ...crlRemarks(files, now),
  ];
}

const separationOff = notice("SEPARATION_OFF", "The policy has separation: off, so who may decrypt may also destroy.");

function mixedRemarks(mixed: MixedCallers): Notice[] {
  const shown = [...mixed].slice(0, mixedShown);
  const more = mixed.size - shown.length;
  return [
    ...shown.map(([name, role]) =>
      notice("ROLES_MIXED", `${name} is refused ${role}: its rules add up to roles that are kept apart.`, name),
    ),
    ...(more > 0 ? [notice("ROLES_MIXED", `Of ${more} more callers the same is to be said.`)] : []),
  ];
}

function issuerRemarks({ issuers }: InForce): Notice[] {
  return issuers.all.flatMap(({ entry, keys }) => {
    const { problem, ageMs } = keys.state();
    if (problem === undefined) return [];
    const left = ageMs === undefined ? "There are none yet" : `The last ones are ${Math.floor(ageMs / 60_000)} min old`;
    const text = `The keys of issuer ${entry.name} cannot be had: ${problem}. ${left}.`;
    return [notice("ISSUER_KEYS_UNAVAILABLE", text, entry.name)];
  });
}

function crlRemarks({ crlUntilMs, crlDueMs }: InForce["files"], now: Date): Notice[] {
  if (crlUntilMs === undefined || crlDueMs === undefined || now.getTime() < crlDueMs) return [];
  const until = new Date(crlUntilMs).toISOString();
  const text =
    now.getTime() < crlUntilMs
      ? `A revocation list of the policy is out of date from ${until} on: renew it.`
      : `A revocation list of the policy is out of date since ${until}, and certificates are refused: renew it.`;
  return [notice("REVOCATION_LIST_DUE", text)];
}
