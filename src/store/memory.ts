/**
 * The store of a service that keeps nothing: records in this process, gone when it ends.
 * Every method does its work before its first await, which makes each of them a transaction.
 */
import { KmsError } from "../errors.ts";
import type { KeyRecord, KeyState, Purpose } from "../keys/record.ts";
import { type Activation, type ExpectedKeys, type RequestRecord, requestRetentionMs, type Store } from "./store.ts";

/** A tenant's keys of one purpose. PENDING ones are in `byId` alone. */
interface Versions {
  inOrder: KeyRecord[];
  active: KeyRecord | undefined;
}

export function memoryStore(): Store {
  const byId = new Map<string, KeyRecord>();
  const versionsOf = new Map<string, Versions>();
  const requests = new Map<string, RequestRecord & { at: Date }>();
  let lastRotationAt: Date | undefined;

  function versions(tenantId: string, purpose: Purpose): Versions {
    return versionsOf.get(`${tenantId}/${purpose}`) ?? { inOrder: [], active: undefined };
  }

  function find(tenantId: string, keyId: string): KeyRecord | undefined {
    const record = byId.get(keyId);
    return record?.tenantId === tenantId ? record : undefined;
  }

  function remember({ tenantId, keyId, request, at }: Activation, retiredKeyId: string | undefined): void {
    for (const [id, { at: then }] of requests) {
      if (then.getTime() > at.getTime() - requestRetentionMs) break; // in order of insertion, so the rest are younger
      requests.delete(id);
    }
    if (request === undefined) return;
    const id = `${tenantId}/${request.requestId}`;
    const known = requests.get(id) ?? { ...request, activated: [], at };
    known.activated.push({ keyId, retiredKeyId });
    requests.set(id, known);
  }

  return {
    name: "memory",

    async active(tenantId, purpose) {
      return copyOf(versions(tenantId, purpose).active);
    },

    async get(tenantId, keyId) {
      return copyOf(find(tenantId, keyId));
    },

    async list(tenantId, purpose) {
      return versions(tenantId, purpose).inOrder.map(copy);
    },

    async insertPending(record) {
      if (byId.has(record.keyId)) throw new KmsError("CONFLICT", `key ${record.keyId} exists`);
      byId.set(record.keyId, copy({ ...record, state: "PENDING", version: 0 }));
    },

    async activate(activation) {
      const { tenantId, purpose, keyId, at, request } = activation;
      const record = find(tenantId, keyId);
      const known = request && requests.get(`${tenantId}/${request.requestId}`);
      if (known && known.digest !== request.digest) {
        throw new KmsError("REQUEST_ID_REUSED", `request_id ${request.requestId} was used with another body`);
      }
      if (record?.state !== "PENDING" || record.purpose !== purpose) {
        throw new KmsError("CONFLICT", `key ${keyId} is not pending`);
      }
      const present = versions(tenantId, purpose);
      refuseUnexpected(present, activation.expect);

      const retired = present.active;
      if (retired !== undefined) {
        Object.assign(retired, { state: "RETIRED", retiredAt: new Date(at) });
        lastRotationAt = new Date(at);
      }
      Object.assign(record, { state: "ACTIVE", version: present.inOrder.length + 1, activatedAt: new Date(at) });
      present.inOrder.push(record);
      present.active = record;
      versionsOf.set(`${tenantId}/${purpose}`, present);
      remember(activation, retired?.keyId);
      return copy(record);
    },

    async update(record, from) {
      const stored = find(record.tenantId, record.keyId);
      if (stored?.state !== from || from === "PENDING") {
        throw new KmsError("CONFLICT", `key ${record.keyId} is not ${from}`);
      }
      const present = versions(stored.tenantId, stored.purpose);
      if (record.state === "ACTIVE" && present.active !== undefined && present.active !== stored) {
        throw new KmsError("CONFLICT", `key ${present.active.keyId} is ACTIVE`);
      }
      const { tenantId, purpose, version, keyId, publicKey, createdAt } = stored;
      Object.assign(stored, copy({ ...record, tenantId, purpose, version, keyId, publicKey, createdAt }));
      present.active = present.inOrder.find(({ state }) => state === "ACTIVE");
    },

    async deletePending(tenantId, keyId) {
      if (find(tenantId, keyId)?.state === "PENDING") byId.delete(keyId);
    },

    async deletePendingBefore(before) {
      const abandoned = [...byId.values()].filter(({ state, createdAt }) => state === "PENDING" && createdAt < before);
      for (const { keyId } of abandoned) byId.delete(keyId);
      return abandoned.length;
    },

    async request(tenantId, requestId) {
      const known = requests.get(`${tenantId}/${requestId}`);
      return known && { requestId, digest: known.digest, activated: known.activated.map((key) => ({ ...key })) };
    },

    async due(before, limit, purpose) {
      const all = [...versionsOf.values()]
        .flatMap(({ active }) => active ?? [])
        .filter((record) => record.activatedAt! < before && (purpose ?? record.purpose) === record.purpose)
        .sort((a, b) => a.activatedAt!.getTime() - b.activatedAt!.getTime());
      return { records: all.slice(0, limit).map(copy), total: all.length };
    },

    async counts() {
      const byPurpose: Record<Purpose, Partial<Record<KeyState, number>>> = { data: {}, signing: {} };
      for (const { purpose, state } of byId.values()) byPurpose[purpose][state] = (byPurpose[purpose][state] ?? 0) + 1;
      let oldest = Number.POSITIVE_INFINITY;
      for (const { active } of versionsOf.values()) oldest = Math.min(oldest, active?.activatedAt?.getTime() ?? oldest);
      return {
        byPurpose,
        oldestActiveAt: Number.isFinite(oldest) ? new Date(oldest) : undefined,
        lastRotationAt: copyDate(lastRotationAt),
      };
    },

    async close() {},
  };
}

function refuseUnexpected({ inOrder, active }: Versions, expect: ExpectedKeys): void {
  if (expect === "no-version" && inOrder.length > 0) throw new KmsError("CONFLICT", "the tenant has a key");
  const expected = typeof expect === "object" ? expect.active : undefined;
  if (active?.keyId !== expected) throw new KmsError("CONFLICT", `the active key is ${active?.keyId ?? "absent"}`);
}

function copyOf(record: KeyRecord | undefined): KeyRecord | undefined {
  return record && copy(record);
}

function copy(record: KeyRecord): KeyRecord {
  return {
    ...record,
    wrapped: new Uint8Array(record.wrapped),
    publicKey: new Uint8Array(record.publicKey),
    createdAt: new Date(record.createdAt),
    activatedAt: copyDate(record.activatedAt),
    retiredAt: copyDate(record.retiredAt),
    compromisedAt: copyDate(record.compromisedAt),
    destroyAt: copyDate(record.destroyAt),
  };
}

function copyDate(date: Date | undefined): Date | undefined {
  return date && new Date(date);
}
