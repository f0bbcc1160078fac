/** State of provider keys for metrics: which is the affair of the service, and which that of a tenant. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import type { Provider } from "../../src/provider/provider.ts";
import type { ProviderSettings } from "../../src/provider/registry.ts";
import { type ResilientProvider, resilient } from "../../src/provider/resilience.ts";
import { providerState } from "../../src/provider-keys/state.ts";
import type { TenantProviderKeySettings } from "../../src/provider-keys/settings.ts";
import { startProviders } from "../../src/provider-keys/start.ts";
import { tenantKeysSha256 } from "../../src/provider-keys/tenant-keys-digest.ts";
import { realTime } from "../../src/runtime/time.ts";
import { thrownBy } from "../support/matchers.ts";

const noTenants: TenantProviderKeySettings = { providerKeys: new Map(), tenants: new Map() };

async function started(first: TenantProviderKeySettings) {
  const instruments = { providerCall: { record() {} }, providerRequests: { add() {} }, providerLies: { add() {} } };
  const providers = await startProviders(
    {
      provider: { name: "local" },
      otherProvider: undefined,
      tenantProviderKeys: first,
      storeKeyPin: undefined,
      providerCheckMs: 30_000,
      warnings: [],
    },
    {
      instruments: instruments as never,
      log: pino({ level: "silent" }),
      time: realTime,
      alarm: { changed() {}, suspect() {} },
    },
  );
  onTestFinished(() => providers.close());
  return providers;
}

function tenantKeys(...names: string[]): TenantProviderKeySettings {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const settings = (name: string): ProviderSettings => ({ name: "local", masterKeyFile: join(directory, name) });
  return {
    providerKeys: new Map(names.map((name) => [name, settings(name)])),
    tenants: new Map(names.map((name) => [`tenant-${name}`, name])),
  };
}

/** A local key under another name of a provider, whose breaker opens at the first failure. */
function key(name: string, credential?: Provider["credential"]) {
  const local = localProvider(randomMasterKey());
  const world = { isAway: false };
  const provider: Provider = {
    ...local,
    name,
    ...(credential && { credential }),
    async encrypt(...given) {
      if (world.isAway) throw new KmsError("PROVIDER_UNAVAILABLE", "away");
      return local.encrypt(...given);
    },
  };
  const opened = resilient(provider, { time: realTime, breakAfter: 1, maxRetries: 0, probeMs: 3_600_000 });
  onTestFinished(() => opened.close());
  return {
    opened,
    async breakIt() {
      world.isAway = true;
      await thrownBy(() => opened.encrypt(Buffer.from("secret"), {}));
    },
  };
}

function stateOf(own: ResilientProvider[], ofTenants: ResilientProvider[] = []) {
  return providerState({
    opened: own,
    watches: [],
    tenantProviderKeys: {
      all: () => [],
      sha256: () => "",
      breakers: () => ofTenants.flatMap((each) => each.breakers()),
    },
  });
}

describe("breakers", () => {
  it("of a tenant's key do not show as the service's, at the same provider either", async () => {
    const [own, ofTenant] = [key("aws"), key("aws")];
    const state = stateOf([own.opened], [ofTenant.opened]);
    expect(state.tenantBreakers()).toBe("closed");
    await ofTenant.breakIt();
    expect(state.breakers()).toEqual([{ name: "aws", state: "closed" }]);
    expect(state.tenantBreakers()).toBe("open");
  });

  it("of tenants are the worst of all, and none without keys of tenants", async () => {
    const some = [key("aws"), key("vault"), key("gcp")];
    await some[1]!.breakIt();
    expect(
      stateOf(
        [],
        some.map(({ opened }) => opened),
      ).tenantBreakers(),
    ).toBe("open");
    expect(stateOf(some.map(({ opened }) => opened)).tenantBreakers()).toBeUndefined();
  });
});

it("tells of each provider the credential that ends first, and of none that is not known", () => {
  const endingAt = (hour: number) => () => ({ since: new Date(0), until: new Date(hour * 3_600_000) });
  const keys = [key("aws", endingAt(3)), key("aws", endingAt(2)), key("vault", endingAt(4)), key("gcp")];
  expect(stateOf(keys.map(({ opened }) => opened)).credentials()).toEqual([
    { name: "aws", since: new Date(0), until: new Date(2 * 3_600_000) },
    { name: "vault", since: new Date(0), until: new Date(4 * 3_600_000) },
  ]);
});

it("tells the condition of each key with whose it is", async () => {
  const settings = tenantKeys("a");
  const lost: ProviderSettings = { name: "local", masterKeyFile: "/nonexistent/key" };
  const providers = await started({ ...settings, providerKeys: new Map([...settings.providerKeys, ["b", lost]]) });
  expect(providers.conditions()).toEqual([
    { scope: "service", condition: "answering" },
    { scope: "tenant", condition: "answering" },
    { scope: "tenant", condition: "denied" },
  ]);
});

it("has nothing in flight, and no credential, while the local provider rests", async () => {
  const providers = await started(noTenants);
  expect(providers.inFlight()).toBe(0);
  const looking = providers.watches[0]!.look();
  expect(providers.inFlight()).toBe(1);
  await looking;
  expect(providers.inFlight()).toBe(0);
  expect(providers.credentials()).toEqual([]);
});

it("has the digest of the tenants' keys in effect, and of others once these are", async () => {
  const providers = await started(noTenants);
  expect(providers.tenantKeysSha256()).toBe(tenantKeysSha256(noTenants));
  const next = tenantKeys("a", "b");
  await providers.replaceTenantProviderKeys({ tenantProviderKeys: next, warnings: [] });
  expect(providers.tenantKeysSha256()).toBe(tenantKeysSha256(next));
});

it("tells of a configuration that was refused until one is not", async () => {
  const providers = await started(noTenants);
  expect(providers.tenantKeysReloadFailed()).toBe(false);
  providers.configurationRefused(true);
  await providers.replaceTenantProviderKeys({ tenantProviderKeys: noTenants, warnings: [] });
  expect(providers.tenantKeysReloadFailed()).toBe(true);
  providers.configurationRefused(false);
  expect(providers.tenantKeysReloadFailed()).toBe(false);
});
