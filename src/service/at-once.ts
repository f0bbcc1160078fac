/**
 * Bounds how many of each reading call run at once, over all callers and ports. These calls read many rows, and their answers are made in the
 * one event loop that answers everybody. A call past its bound is refused before any work, and told when to try again.
 */
import type { Handler } from "../audit/audited.ts";
import { endingWith } from "../call/maybe-promise.ts";
import { KmsError } from "../errors.ts";

/**
 * Bounded by what the calls of others may notice of them. With 32 at once, the slowest hundredth of another tenant's calls took 4 times as long beside
 * GetPublicKeys and GetCheckpoint. Beside proofs, which compute thousands of hashes, it took 15 to 18 times as long.
 */
export const atOnce = {
  verifyAudit: 1,
  listAuditEvents: 4,
  listKeys: 2,
  status: 2,
  getPublicKeys: 8,
  publicKeySet: 8,
  getCheckpoint: 8,
  getInclusionProof: 4,
  getConsistencyProof: 2,
  getTile: 32,
} as const;

/** The handlers, of which those in `atOnce` refuse with OVERLOADED what is too many. */
export function bounded<Handlers extends object>(handlers: Handlers): Handlers {
  const some = Object.entries(handlers).map(([name, handler]) => [name, boundedBy(limitOf(name), handler)]);
  return Object.fromEntries(some) as Handlers;
}

function limitOf(name: string): number | undefined {
  return (atOnce as Readonly<Record<string, number>>)[name];
}

function boundedBy(limit: number | undefined, handler: Handler): Handler {
  if (limit === undefined) return handler;
  let running = 0;
  return (request, call) => {
    if (running >= limit) {
      throw new KmsError("OVERLOADED", `no more than ${limit} of these calls run at once: try again later`);
    }
    running += 1;
    const end = () => {
      running -= 1;
    };
    return endingWith(() => handler(request, call), end);
  };
}
