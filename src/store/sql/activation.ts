/** The transaction that makes a PENDING key ACTIVE, in place of the one that was, with its audit rows. */
import { KmsError } from "../../errors.ts";
import type { AuditEvent } from "../audit-store.ts";
import type { HeadNotes } from "../head-notes.ts";
import type { KeyRecord } from "../key-record.ts";
import type { Activation, ExpectedKeys } from "../key-store.ts";
import type { AuditChain } from "./audit.ts";
import type { Query, Transaction } from "./rows/database.ts";
import { insertHandover, noteCompromise, refuseOpenLog } from "./handovers.ts";
import type { KeyLookups } from "./key-lookups.ts";
import { holdLease } from "./leases.ts";
import { appendGroup } from "./logs.ts";
import { keysMadeBy, type RequestedActivation, rememberRequest } from "./requests.ts";
import type { RowMac } from "./rows/mac.ts";
import { keyRow, updateRow } from "./rows/rows.ts";

export interface ActivationParts {
  mac: RowMac;
  chain: AuditChain;
  look: KeyLookups;
  notes: HeadNotes;
}

/** See KeyStore.activate. */
export async function activateKey(tx: Transaction, parts: ActivationParts, activation: Activation): Promise<KeyRecord> {
  const { mac, chain, look } = parts;
  const { tenantId, purpose, keyId, at, expect, request, fence, outgoing } = activation;
  await tx.lock(`key/${tenantId}/${purpose}`);
  if (fence) await holdLease(tx, mac, fence);
  if (request) await refuseRepeated(tx.query, parts, { ...activation, request });
  const pending = await look.find(tx.query, tenantId, keyId);
  if (pending?.state !== "PENDING" || pending.purpose !== purpose) throw conflict(`key ${keyId} is not pending`);
  const present = await look.active(tx.query, tenantId, purpose);
  // If no key is ACTIVE every record is read, so that a damaged one cannot pass for a retired or absent one.
  const last = present
    ? await look.lastVersion(tx.query, tenantId, purpose)
    : ((await look.versions(tx.query, tenantId, purpose)).at(-1)?.version ?? 0);
  refuseUnexpected(last, present, expect);
  await storeHandover(tx, parts, activation); // first: the sooner it has the log, the fewer are the appends that it loses to

  const retired = present && retire(present, at, outgoing);
  const record: KeyRecord = { ...pending, state: "ACTIVE", version: last + 1, activatedAt: at };
  if (retired) await updateRow(tx.query, mac, "kms_keys", keyRow(retired));
  await updateRow(tx.query, mac, "kms_keys", keyRow(record));
  if (present && retired) await noteCompromise(tx.query, mac, { before: present, after: retired });
  if (request) await rememberRequest(tx.query, mac, { ...activation, request, retiredKeyId: present?.keyId });
  await chain.append(tx, eventsOf(activation, record, retired));
  if (retired) await tx.announce(retired);
  await tx.announce(record);
  tx.afterCommit(() => [...(retired ? [retired] : []), record].forEach(parts.notes.key));
  return record;
}

/** One request makes one key of a purpose: a replica that is late, and meets the key that it made, must not replace that one. */
async function refuseRepeated(
  query: Query,
  { mac, look }: ActivationParts,
  { tenantId, purpose, request }: RequestedActivation,
): Promise<void> {
  for (const keyId of await keysMadeBy(query, mac, { tenantId, ...request })) {
    const made = await look.get(query, tenantId, keyId);
    if (made?.purpose === purpose) throw conflict(`request_id ${request.requestId} has made key ${made.keyId}`);
  }
}

async function storeHandover(tx: Transaction, parts: ActivationParts, activation: Activation): Promise<void> {
  const { tenantId, handover } = activation;
  if (handover === "no-log") await refuseOpenLog(tx, parts.mac, tenantId);
  else if (handover) {
    await appendGroup(tx, parts, handover.append);
    await insertHandover(tx.query, parts.mac, handover.handover);
  }
}

function refuseUnexpected(last: number, present: KeyRecord | undefined, expect: ExpectedKeys): void {
  if (expect === "no-version" && last > 0) throw conflict("the tenant has a key");
  const expected = typeof expect === "object" ? expect.active : undefined;
  if (present?.keyId !== expected) throw conflict(`the active key is ${present?.keyId ?? "absent"}`);
}

function retire(record: KeyRecord, at: Date, outgoing: Activation["outgoing"]): KeyRecord {
  if (outgoing === undefined) return { ...record, state: "RETIRED", retiredAt: at };
  return { ...record, state: outgoing, previousState: record.state, retiredAt: at, compromisedAt: at };
}

function eventsOf({ by, at }: Activation, record: KeyRecord, retired: KeyRecord | undefined): AuditEvent[] {
  const event = (action: AuditEvent["action"], { tenantId, purpose, keyId }: KeyRecord): AuditEvent => {
    return { at, ...by, action, tenantId, purpose, keyId, outcome: "OK", count: 1 };
  };
  const birth = event(record.version === 1 ? "create" : "rotate", record);
  if (retired === undefined) return [birth];
  return [event(retired.state === "COMPROMISED" ? "mark_compromised" : "retire", retired), birth];
}

function conflict(message: string): KmsError {
  return new KmsError("CONFLICT", message);
}
