/**
 * Fills a store as years of use would, but quickly: rows with their HMACs, and the audit rows of each key's life, through the functions
 * that the store itself writes with, all in one transaction.
 */
import { randomBytes } from "node:crypto";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { publicKeyOf } from "../../src/crypto/ed25519.ts";
import { type RowMac, rowMac } from "../../src/store/sql/rows/mac.ts";
import type { KeyRecord, Purpose } from "../../src/store/key-record.ts";
import { recordContext } from "../../src/keys/states.ts";
import { unlockStore, unwrapStoreKey } from "../../src/keys/store-key/unlock.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { postgresDatabase } from "../../src/store/postgres/open.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import type { Database } from "../../src/store/sql/rows/database.ts";
import { auditChain } from "../../src/store/sql/audit.ts";
import { insertCopies } from "../../src/store/offline/copy.ts";
import { embeddedDatabase } from "../../src/store/sqlite/embedded.ts";
import { keyRow, valuesOf } from "../../src/store/sql/rows/rows.ts";
import type { AuditAction, AuditEvent } from "../../src/store/audit-store.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface TenantProviderKeys {
  tenantId: string;
  purposes: readonly Purpose[];
  /** All but the last are RETIRED. */
  versions: number;
  /** Of the last one. */
  activatedAt: Date;
}

export interface Filled {
  keyRows: number;
  auditRows: number;
}

/** Rows at a time in memory. */
const tenantsAtOnce = 500;

/** `settings` name a store that does not exist yet, sqlite or postgres. */
export async function fill(
  settings: StoreSettings,
  provider: Provider,
  tenants: TenantProviderKeys[],
): Promise<Filled> {
  const mac = await makeStore(settings, provider);
  const db = openDatabase(settings);
  const chain = auditChain(mac, randomBytes(16).toString("hex"));
  const filled = { keyRows: 0, auditRows: 0 };
  await db.write(async (tx) => {
    for (let start = 0; start < tenants.length; start += tenantsAtOnce) {
      const records: KeyRecord[] = [];
      for (const tenant of tenants.slice(start, start + tenantsAtOnce)) {
        for (const purpose of tenant.purposes) records.push(...(await keysOf(tenant, purpose, provider)));
      }
      const events = records.flatMap(lifeOf);
      await insertCopies(
        tx.query,
        "kms_keys",
        records.map((record) => withMac(mac, record)),
      );
      await chain.append(tx, events);
      filled.keyRows += records.length;
      filled.auditRows += events.length;
    }
  });
  // As autovacuum would after so many rows: the planner knows them.
  if (settings.name === "postgres") await db.read((query) => query("vacuum analyze"));
  await db.close();
  return filled;
}

export function openDatabase(settings: StoreSettings): Database {
  if (settings.name === "sqlite") return embeddedDatabase({ time: realTime, file: settings.file, soon: setImmediate });
  if (settings.name === "postgres") return postgresDatabase(settings, 2, realTime);
  throw new Error("a store in memory cannot be filled from outside");
}

/** Its tables and its store key. */
async function makeStore(settings: StoreSettings, provider: Provider): Promise<RowMac> {
  const locked = await openStore(settings, realTime);
  const store = await unlockStore(locked, providerKeys({ current: provider }), realTime);
  const key = await unwrapStoreKey((await locked.storeKey())!, providerKeys({ current: provider }));
  await store.close();
  return rowMac(key);
}

async function keysOf(tenant: TenantProviderKeys, purpose: Purpose, provider: Provider): Promise<KeyRecord[]> {
  const { tenantId, versions, activatedAt } = tenant;
  const records: KeyRecord[] = [];
  for (let version = 1; version <= versions; version += 1) {
    const identity = { tenantId, purpose, keyId: randomBytes(16).toString("hex") };
    const isLast = version === versions;
    const activated = new Date(activatedAt.getTime() - (versions - version) * 1000);
    records.push({
      ...identity,
      ...(await secretOf(identity, provider)),
      version,
      state: isLast ? "ACTIVE" : "RETIRED",
      provider: provider.name,
      providerKeyId: provider.keyId,
      createdAt: activated,
      activatedAt: activated,
      retiredAt: isLast ? undefined : new Date(activated.getTime() + 1000),
      compromisedAt: undefined,
      destroyAt: undefined,
      destroyWait: undefined,
      previousState: undefined,
      destruction: undefined,
    });
  }
  return records;
}

async function secretOf(identity: Pick<KeyRecord, "tenantId" | "purpose" | "keyId">, provider: Provider) {
  const context = recordContext(identity);
  if (identity.purpose === "data") {
    return { wrapped: (await provider.generateDataKey(context)).wrapped, publicKey: new Uint8Array() };
  }
  const seed = randomBytes(32);
  return { wrapped: await provider.encrypt(seed, context), publicKey: publicKeyOf(seed) };
}

function withMac(mac: RowMac, record: KeyRecord) {
  const row = keyRow(record);
  return { ...row, mac: mac.of("kms_keys", valuesOf("kms_keys", row)) };
}

function lifeOf({ tenantId, purpose, keyId, version, state, activatedAt, retiredAt }: KeyRecord): AuditEvent[] {
  const event = (action: AuditAction, at: Date): AuditEvent => {
    return { at, actor: "bench", action, tenantId, purpose, keyId, outcome: "OK", requestId: "", count: 1 };
  };
  const birth = event(version === 1 ? "create" : "rotate", activatedAt!);
  return state === "RETIRED" ? [birth, event("retire", retiredAt!)] : [birth];
}
