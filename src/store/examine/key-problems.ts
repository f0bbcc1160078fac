/** What the row of a key, and the life that the audit trail tells of it, show of each other. */
import type { KeyState, Purpose } from "../key-record.ts";
import type { Row } from "../sql/rows/database.ts";
import type { RowMac } from "../sql/rows/mac.ts";
import { valuesOf } from "../sql/rows/rows.ts";
import type { Life } from "./replay.ts";
import type { RowProblem, RowProblemKind } from "../row-problem.ts";

export function keyProblem(mac: RowMac, row: Row, life: Life | undefined): RowProblem | undefined {
  const about = (kind: RowProblemKind, what: string) => {
    const [tenantId, keyId, purpose] = [String(row.tenant_id), String(row.key_id), row.purpose as Purpose];
    return { kind, tenantId, keyId, purpose, what };
  };
  if (!mac.matches(row.mac, "kms_keys", valuesOf("kms_keys", row))) {
    return about("record_altered", "the record was altered: restore it from a backup");
  }
  const state = row.state as KeyState;
  if (state === "PENDING" && life === undefined) return undefined;
  if (life === undefined || !life.born) {
    return about("record_unknown", `the record is ${state}, and no audit row tells of its creation`);
  }
  if (!life.states.includes(state)) {
    return about("state", `the record is ${state}, and its audit rows lead to ${life.states.join(" or ")}`);
  }
  const isMarked = row.compromised_at !== null;
  if (isMarked === life.compromised) return undefined;
  if (isMarked) return about("state", "the record is marked as compromised, and no audit row marked it");
  return about("state", "an audit row marked the key as compromised, and the record does not say so");
}

export function missing({ tenantId, keyId, purpose, states }: Life): RowProblem {
  const what = `the record is gone; its audit rows lead to ${states.join(" or ")}: restore it from a backup`;
  return { kind: "record_missing", tenantId, keyId, purpose, what };
}

export function disordered({ tenantId, keyId, purpose }: Life): RowProblem {
  return { kind: "audit_trail", tenantId, keyId, purpose, what: "the key's audit rows are out of order" };
}

export function doubted({ tenantId, keyId, purpose }: Life, doubt: string): RowProblem {
  const what = `${doubt}: the clocks of replicas differ, or the rows were put in another order`;
  return { kind: "audit_trail", tenantId, keyId, purpose, what, mayBeClocks: true };
}
