/** Accepts a finding while no service runs, or one that does not start for it. */
import type { Attribution } from "../audit-store.ts";
import type { Finding } from "./finding.ts";
import type { HeadsPlace } from "./place.ts";
import { acceptIn, type HeadsParts } from "./keeper.ts";
import { keptHeads } from "./kept-heads.ts";

type AcceptParts = Pick<HeadsParts, "store" | "storeKey" | "time"> & { place: HeadsPlace };

/** Writes the audit row that accepts `finding`, ends the logs that may have lost entries, and begins a new heads file. */
export async function acceptFinding(parts: AcceptParts, finding: Finding, by: Attribution): Promise<void> {
  await acceptIn(parts.store, finding, parts.time.now(), by);
  const kept = keptHeads(parts);
  kept.beginAnew();
  await kept.write();
}
