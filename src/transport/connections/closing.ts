/** What is told of a connection that a limit closed. */
import type { ConnectionLimitName, LimitedBy } from "../../limits/log.ts";

/** What Status names, if a caller's connection is closed. A stranger's connection is closed by them as they are meant to. */
const namedOf: Readonly<Partial<Record<ConnectionLimitName, string>>> = {
  max: "fluo.kms.connection.max",
  max_per_address: "fluo.kms.connection.max-per-address",
  resets: "the limit resets",
  header_work: "the limit header_work",
  bodies: "the limit bodies",
};

export function closingOf(
  limit: ConnectionLimitName,
  network: string,
  hadCaller: boolean,
): [limit: ConnectionLimitName, limited: LimitedBy] {
  const by = hadCaller ? namedOf[limit] : undefined;
  // Idle clients, and those that only look whether somebody listens, are nothing to look into.
  return [limit, { who: network, by, quiet: limit === "idle" || limit === "first_call" }];
}
