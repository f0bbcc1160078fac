/** What the health monitor makes of its provider and store. */
import { afterEach, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { localProvider } from "../../src/provider/local.ts";
import { randomMasterKey } from "../../src/provider/local-master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { type HealthMonitor, startHealthMonitor } from "../../src/service/health.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";

let monitor: HealthMonitor | undefined;
afterEach(() => monitor?.stop());

async function watch(provider: Partial<Provider> = {}, store: Partial<Store> = {}) {
  const changes: string[] = [];
  monitor = await startHealthMonitor({
    provider: { ...localProvider(randomMasterKey()), ...provider },
    store: { ...memoryStore(), ...store },
    notices: ["Standing remark."],
    onChange: (status) => changes.push(status),
  });
  return { monitor, changes };
}

const fails = (code: KmsErrorCode) => async () => Promise.reject(new KmsError(code, "as told"));

it("is operational when both answer, and keeps the standing remarks", async () => {
  const { monitor, changes } = await watch();
  expect(monitor.current()).toMatchObject({ status: "operational", notices: ["Standing remark."] });
  expect(changes).toEqual(["operational"]);
});

it.each([
  ["degraded, when the provider does not answer", { describe: fails("PROVIDER_UNAVAILABLE") }, {}, "degraded"],
  ["down, when the provider denies its key", { describe: fails("PROVIDER_DENIED") }, {}, "down"],
  ["down, when the key is disabled", { describe: async () => ({ state: "disabled", detail: "Disabled" }) }, {}, "down"],
  ["down, when the store does not answer", {}, { counts: fails("STORE_UNAVAILABLE") }, "down"],
] as const)("is %s, and says why", async (_what, provider, store, status) => {
  const { monitor } = await watch(provider as Partial<Provider>, store);
  expect(monitor.current().status).toBe(status);
  expect(monitor.current().notices).toHaveLength(2);
});

it("sees that a provider is back", async () => {
  let up = false;
  const describe = async () => {
    if (!up) throw new KmsError("PROVIDER_UNAVAILABLE", "down");
    return { state: "enabled", detail: "Enabled" } as const;
  };
  const { monitor, changes } = await watch({ describe });
  up = true;
  expect((await monitor.look()).status).toBe("operational");
  expect(changes).toEqual(["degraded", "operational"]);
});

it("is down from the moment it drains, whatever it sees", async () => {
  const { monitor } = await watch();
  monitor.drain();
  expect(monitor.current().status).toBe("down");
  expect((await monitor.look()).status).toBe("down");
});
