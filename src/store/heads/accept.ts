/** Accepts a finding while no service runs, or one that does not start for it. */
import { KmsError } from "../../errors.ts";
import type { Attribution } from "../audit-store.ts";
import type { Finding } from "./finding.ts";
import { headsKey } from "./heads-format.ts";
import { acceptance, type HeadsParts, refusal } from "./keeper.ts";
import { keptHeads } from "./kept-heads.ts";
import type { HeadsPlace } from "./heads-place.ts";

type AcceptParts = Pick<HeadsParts, "store" | "storeKey" | "time"> & { place: HeadsPlace };

/**
 * Accepts the finding that has `digest`, and gives it: writes an audit row, and begins a new heads file. NOT_FOUND if there is no finding. A
 * finding with another digest is thrown as it is now.
 */
export async function acceptFinding(parts: AcceptParts, digest: string, by: Attribution): Promise<Finding> {
  const { store, storeKey, place, time } = parts;
  const kept = keptHeads({ store, key: headsKey(storeKey), place, time });
  const finding = await kept.judge();
  if (finding === undefined) {
    throw new KmsError("NOT_FOUND", "there is nothing to accept: the store is not behind its heads file");
  }
  if (finding.digest !== digest) throw refusal(finding);
  await store.acceptRollback(acceptance(finding, time.now(), by));
  kept.beginAnew();
  await kept.write();
  return finding;
}
