/**
 * Whether the store of the settings is the one that the service writes to. A restored copy has the id of its original, its keys and its audit
 * rows, so only what the service writes now tells the two apart. Preflight asks the service for the audit events of a tenant whose name
 * it has just made up. Whichever replica answers notes that call in the audit trail, and the row must arrive in the store that is read here.
 */
import { randomBytes } from "node:crypto";
import { realTime } from "../../runtime/time.ts";
import type { StoreSettings } from "../../store/registry.ts";
import { openTables } from "../../store/registry.ts";
import type { Tables } from "../../store/offline/tables.ts";
import { Failure } from "../command.ts";
import type { Status } from "../commands/status.ts";
import { storeName, using } from "../open-store.ts";
import type { Service } from "../service-client.ts";
import { askInTurn } from "./ask.ts";
import { attempt, type Tried } from "./attempt.ts";
import { isOtherId, type StoreIdentity } from "./evidence.ts";

const markMs = 10_000;
/** The row is durable within a second, or the service says that it is not well; a standby may have it later. */
const arrivesWithinMs = 15_000;
const lookEveryMs = 250;

export function identityOf(service: Service, settings: StoreSettings, status: Status): Promise<StoreIdentity> {
  return using(openTables(settings), async (tables) => {
    const stored = await tables.storeKey();
    if (stored === undefined) throw new Failure(`${storeName(settings)} has no store key yet: no service has used it`);
    const id = stored.storeId;
    return { id, isWrittenTo: isOtherId(id, status) ? { got: false } : await arrives(service, tables) };
  });
}

async function arrives(service: Service, tables: Tables): Promise<Tried<boolean>> {
  if (service.place.socket !== undefined) return { why: "a local socket makes no row for a made-up tenant" };
  const tenantId = `fluo-kms-preflight-${randomBytes(16).toString("hex")}`;
  const path = "/fluo.kms.v1.KeyAdminService/ListAuditEvents";
  const call = { method: "POST", path, body: { tenantId, pageSize: 1 }, timeoutMs: markMs } as const;
  const asked = await attempt(2 * markMs, () => askInTurn(service, call));
  if ("why" in asked) return asked;
  const until = realTime.monotonicMs() + arrivesWithinMs;
  for (;;) {
    if (await tables.hasAuditOf(tenantId)) return { got: true };
    if (realTime.monotonicMs() > until) return { got: false };
    await realTime.sleep(lookEveryMs);
  }
}
