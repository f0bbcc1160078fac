/** The order of the versions of each tenant and purpose: 1, 2, 3 … without a gap, and one ACTIVE at most. */
import type { Purpose } from "../key-record.ts";
import type { Query } from "../sql/database.ts";
import type { RowCheck, RowProblemKind } from "./row-problem.ts";
import { each, pages } from "./copy.ts";

export async function checkVersions(query: Query, problem: RowCheck["problem"]): Promise<void> {
  const order = ["tenant_id", "purpose", "version", "key_id"];
  let group = "";
  let last = 0;
  let active = 0;
  for await (const row of each(pages(query, "kms_keys", { order, condition: "state <> 'PENDING'" }))) {
    const [tenantId, keyId, purpose] = [String(row.tenant_id), String(row.key_id), row.purpose as Purpose];
    const report = (kind: RowProblemKind, what: string) => problem({ kind, tenantId, keyId, purpose, what });
    if (group !== `${tenantId}/${purpose}`) [group, last, active] = [`${tenantId}/${purpose}`, 0, 0];
    const version = Number(row.version);
    if (version <= last) report("versions", `version ${version} of the ${purpose} key is there twice`);
    else if (version === last + 2) report("versions", `version ${last + 1} of the ${purpose} key is missing`);
    else if (version > last + 2) {
      report("versions", `versions ${last + 1} to ${version - 1} of the ${purpose} key are missing`);
    }
    last = version;
    if (row.state === "ACTIVE") active += 1;
    if (row.state === "ACTIVE" && active > 1) report("several_active", `${active} ${purpose} keys are ACTIVE`);
  }
}
