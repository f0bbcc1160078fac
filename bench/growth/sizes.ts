/** The sizes that are compared, in SQLite files and in a PostgreSQL server of the benchmark's own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocal } from "../../src/provider/local/open.ts";
import type { StoreSettings } from "../../src/store/registry.ts";
import { postgresAvailable } from "../../test/support/postgres-cluster.ts";
import { startPostgres } from "../../test/support/postgres-server.ts";
import { type Filled, fill, type TenantProviderKeys } from "./fill.ts";
import { type GrownService, openService } from "./service.ts";

export const sizeNames = ["few", "tenants", "versions"] as const;
export type SizeName = (typeof sizeNames)[number];

export interface Size extends GrownService, Filled {
  name: SizeName;
  /** Those that are called: each has a data and a signing key; the one with many versions is alone. */
  tenants: readonly string[];
}

export interface Place {
  name: "sqlite" | "postgres";
  settings(database: string): Promise<StoreSettings>;
  close(): Promise<void>;
}

const few = 10;
const manyTenants = 100_000;
const signingEvery = 10;
const manyVersions = 100;
/** In every size, beside the others, and never called. */
const dueTenants = 5;
const dayMs = 86_400_000;

export async function openSizes(place: Place): Promise<Size[]> {
  const sizes: Size[] = [];
  for (const name of sizeNames) {
    const settings = await place.settings(name);
    const provider = await openLocal({ name: "local" });
    const tenants = tenantsOf(name);
    const filled = await fill(settings, provider, tenants);
    const called = tenants.filter((tenant) => isCalled(tenant, name));
    const tenantIds = called.map(({ tenantId }) => tenantId);
    sizes.push({ ...(await openService(settings, provider)), ...filled, name, tenants: tenantIds });
  }
  return sizes;
}

function tenantsOf(name: SizeName): TenantProviderKeys[] {
  const now = new Date();
  const many = name === "tenants" ? manyTenants : few;
  const tenants = Array.from({ length: many }, (_, index): TenantProviderKeys => {
    const purposes = name === "tenants" && index % signingEvery !== 0 ? dataAlone : both;
    const versions = name === "versions" && index === few / 2 ? manyVersions : 1;
    return { tenantId: `tenant-${String(index).padStart(6, "0")}`, purposes, versions, activatedAt: now };
  });
  const old = new Date(now.getTime() - 100 * dayMs);
  const due = Array.from({ length: dueTenants }, (_, index): TenantProviderKeys => {
    return { tenantId: `due-${index}`, purposes: both, versions: 1, activatedAt: old };
  });
  return [...tenants, ...due];
}

const both: TenantProviderKeys["purposes"] = ["data", "signing"];
const dataAlone: TenantProviderKeys["purposes"] = ["data"];

function isCalled({ tenantId, purposes, versions }: TenantProviderKeys, name: SizeName): boolean {
  if (tenantId.startsWith("due-")) return false;
  return purposes === both && (name !== "versions" || versions > 1);
}

export async function sqlitePlace(): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-bench-"));
  return {
    name: "sqlite",
    settings: async (database) => ({ name: "sqlite", file: join(dir, `${database}.db`) }),
    close: async () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Undefined where there are no binaries for this machine. */
export async function postgresPlace(): Promise<Place | undefined> {
  if (!postgresAvailable()) return undefined;
  const server = await startPostgres({ durable: true });
  return {
    name: "postgres",
    settings: async () => ({ name: "postgres", url: await server.createDatabase(), maxConnections: 8 }),
    close: () => server.close(),
  };
}
