/** What is told of a connection that a limit closed. */
import type { ConnectionLimitName, LimitedBy } from "../../limits/told-limits.ts";

/** Settings by which an operator lets callers have more. A stranger's connection is closed by them as they are meant to. */
const settingOf: Readonly<Partial<Record<ConnectionLimitName, string>>> = {
  max: "fluo.kms.connection.max",
  max_per_address: "fluo.kms.connection.max-per-address",
  resets: "fluo.kms.connection.resets",
  header_work: "fluo.kms.connection.header-work",
  bodies: "fluo.kms.http.bodies",
};

export function closingOf(
  limit: ConnectionLimitName,
  network: string,
  hadCaller: boolean,
): [limit: ConnectionLimitName, limited: LimitedBy] {
  const by = hadCaller ? settingOf[limit] : undefined;
  // Idle clients, and those that only look whether somebody listens, are nothing to look into.
  return [limit, { who: network, by, quiet: limit === "idle" || limit === "first_call" }];
}
