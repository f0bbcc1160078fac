/** Request ids of rotations in SQL: which keys each made, so that a retry gets the same answer. */
import { KmsError } from "../../errors.ts";
import type { Activation, RequestRecord } from "../key-store.ts";
import type { Query, Row } from "./rows/database.ts";
import type { RowMac } from "./rows/mac.ts";
import { authenticated, insertRow } from "./rows/rows.ts";

/** The ids of the keys that a request of a tenant made. REQUEST_ID_REUSED if its digest was another. */
export async function keysMadeBy(
  query: Query,
  mac: RowMac,
  { tenantId, requestId, digest }: { tenantId: string; requestId: string; digest: string },
): Promise<string[]> {
  const rows = await requestRows(query, mac, tenantId, requestId);
  if (rows.some((row) => row.digest !== digest)) {
    throw new KmsError("REQUEST_ID_REUSED", `request_id ${requestId} was used with another body`);
  }
  return rows.map((row) => String(row.key_id));
}

/** An activation that has a request id. */
export type RequestedActivation = Activation & { request: NonNullable<Activation["request"]> };

export async function rememberRequest(
  query: Query,
  mac: RowMac,
  { tenantId, keyId, at, request, retiredKeyId }: RequestedActivation & { retiredKeyId: string | undefined },
): Promise<void> {
  await insertRow(query, mac, "kms_requests", {
    tenant_id: tenantId,
    request_id: request.requestId,
    key_id: keyId,
    digest: request.digest,
    retired_key_id: retiredKeyId ?? null,
    at: at.getTime(),
  });
}

export async function rememberedRequest(
  query: Query,
  mac: RowMac,
  tenantId: string,
  requestId: string,
): Promise<RequestRecord | undefined> {
  const rows = await requestRows(query, mac, tenantId, requestId);
  const [first] = rows;
  if (first === undefined) return undefined;
  const activated = rows.map((row) => ({
    keyId: String(row.key_id),
    retiredKeyId: row.retired_key_id === null ? undefined : String(row.retired_key_id),
  }));
  return { requestId, digest: String(first.digest), activated };
}

async function requestRows(query: Query, mac: RowMac, tenantId: string, requestId: string): Promise<Row[]> {
  const rows = await query(
    "select * from kms_requests where tenant_id = ?1 and request_id = ?2 order by at, key_id",
    tenantId,
    requestId,
  );
  return rows.map((row) => authenticated(mac, "kms_requests", row, "a remembered request"));
}
