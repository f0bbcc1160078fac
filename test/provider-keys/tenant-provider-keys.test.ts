/** Provider keys of tenants as they are opened, tried again, replaced and given up: each for itself, and none at the cost of another. */
import { beforeEach, describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import type { ProviderSettings } from "../../src/provider/registry.ts";
import { resilient } from "../../src/provider/resilience.ts";
import { startTenantProviderKeys, type TenantProviderKeyParts } from "../../src/provider-keys/tenant-provider-keys.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";
import { thrownBy } from "../support/matchers.ts";

let time: ManualTime;
beforeEach(() => {
  time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
});

const settings = (file: string): ProviderSettings => ({ name: "local", masterKeyFile: file });
const tenantKeySettings = (keys: Record<string, string>, tenants: Record<string, string>) => ({
  providerKeys: new Map(Object.entries(keys).map(([name, file]) => [name, settings(file)])),
  tenants: new Map(Object.entries(tenants)),
});
const unavailable = () => new KmsError("PROVIDER_UNAVAILABLE", "the provider cannot be reached");
const denied = () => new KmsError("PROVIDER_DENIED", "no such key", { advice: "make one" });

/** Providers by the file of their settings; `answers` says how the next opening of one goes, which is well otherwise. */
function house() {
  const keys = new Map<string, Provider>();
  const answers = new Map<string, () => Promise<never>>();
  const told: string[] = [];
  const closed: string[] = [];
  const tries: string[] = [];
  const parts: Omit<TenantProviderKeyParts, "settings"> = {
    own: [],
    async open(given) {
      const file = given.name === "local" ? given.masterKeyFile! : "";
      tries.push(file);
      await answers.get(file)?.();
      const key = keys.get(file) ?? localProvider(randomMasterKey());
      keys.set(file, key);
      return resilient({ ...key, close: async () => void closed.push(file) }, { time });
    },
    watch: (provider) => watchProvider({ provider, time }),
    time: { ...time, now: () => new Date("2026-01-01T00:00:00.000Z") },
    opened: (name) => told.push(`${name} opened`),
    failed: (name, error) => told.push(`${name}: ${(error as Error).message}`),
    ended: ({ keyId }) => told.push(`${keyId} ended`),
  };
  const start = (given: ReturnType<typeof tenantKeySettings>) => startTenantProviderKeys({ ...parts, settings: given });
  return { start, keys, answers, told, closed, tries };
}

const own = (keys: Awaited<ReturnType<typeof startTenantProviderKeys>>, tenantId: string) =>
  keys.ofTenant(tenantId)?.keyId;

it("gives a tenant its own key, and one without none", async () => {
  const { start, keys } = house();
  const started = await start(tenantKeySettings({ a: "a", b: "b" }, { t1: "a", t2: "b", t3: "b" }));
  expect(own(started, "t1")).toBe(keys.get("a")!.keyId);
  expect(own(started, "t2")).toBe(keys.get("b")!.keyId);
  expect(own(started, "t3")).toBe(keys.get("b")!.keyId);
  expect(started.ofTenant("other")).toBeUndefined();
  expect(started.find(wrappedBy(keys.get("b")!))?.keyId).toBe(keys.get("b")!.keyId);
  expect([...started.tenants().keys()]).toEqual(["t1", "t2", "t3"]);
  expect(started.all().map(({ name, tenants }) => [name, tenants])).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
  await started.close();
});

describe("a key that cannot be opened", () => {
  it("fails for its tenants alone, with the reason, and is tried again until it can", async () => {
    const { start, keys, answers, told, tries } = house();
    answers.set("a", async () => {
      throw unavailable();
    });
    const started = await start(tenantKeySettings({ a: "a", b: "b" }, { t1: "a", t2: "b" }));
    const notOpen = await thrownBy(() => started.ofTenant("t1"));
    expect(notOpen).toBeKmsError("PROVIDER_UNAVAILABLE", "tenant t1, a, is not open");
    expect((notOpen as KmsError).tenantsAffair).toBe(true);
    expect(own(started, "t2")).toBe(keys.get("b")!.keyId);
    expect(started.notOpen()).toEqual(["a"]);
    expect(started.tenants()).toEqual(
      new Map([
        ["t1", undefined],
        ["t2", wrappedBy(keys.get("b")!)],
      ]),
    );
    expect(started.keyOf("t1")?.condition()).toMatchObject({ condition: "unavailable" });

    await time.advance(1_000 + 2_000 + 4_000);
    expect(tries.filter((file) => file === "a")).toHaveLength(4);
    expect(told).toEqual(["a: the provider cannot be reached", "b opened"]); // once, as the reason is the same
    answers.delete("a");
    await time.advance(8_000);
    expect(own(started, "t1")).toBe(keys.get("a")!.keyId);
    expect(started.keyOf("t1")?.condition()).toMatchObject({ condition: "answering" });
    expect(told.at(-1)).toBe("a opened");
    await started.close();
  });

  it("is tried every half minute at last", async () => {
    const { start, answers, tries } = house();
    answers.set("a", async () => {
      throw unavailable();
    });
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    await time.advance(3_600_000);
    expect(tries.length).toBeGreaterThan(120);
    expect(tries.length).toBeLessThan(130);
    await started.close();
  });

  it("is denied where that is no passing trouble", async () => {
    const { start, answers } = house();
    answers.set("a", async () => {
      throw denied();
    });
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const error = await thrownBy(() => started.ofTenant("t1"));
    expect(error).toBeKmsError("PROVIDER_DENIED", "is not open: no such key");
    expect((error as KmsError).advice).toBe("make one");
    await started.close();
  });

  it("is denied where its settings are wrong, and which they are is told operators alone", async () => {
    const { start, answers } = house();
    answers.set("a", async () => {
      throw new KmsError("INVALID_ARGUMENT", "/run/keys/a cannot be read", { advice: "make it readable" });
    });
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const error = (await thrownBy(() => started.ofTenant("t1"))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_DENIED", "its settings cannot be used");
    expect(error.message).not.toContain("/run");
    expect(error.advice).toBe("/run/keys/a cannot be read. make it readable");
    await started.close();
  });

  it("keeps a start no longer than its patience, and is used once it answers", async () => {
    const { start, answers, keys } = house();
    const late = Promise.withResolvers<never>();
    answers.set("a", () => late.promise);
    const starting = start(tenantKeySettings({ a: "a", b: "b" }, { t1: "a", t2: "b" }));
    await time.advance(3_000);
    const started = await starting;
    expect(own(started, "t2")).toBe(keys.get("b")!.keyId);
    expect(await thrownBy(() => started.ofTenant("t1"))).toBeKmsError("PROVIDER_UNAVAILABLE", "is being opened");
    late.resolve(undefined as never);
    await time.advance(0);
    expect(own(started, "t1")).toBe(keys.get("a")!.keyId);
    await started.close();
  });

  it("that opens after the end is closed at once", async () => {
    const { start, answers, closed } = house();
    const late = Promise.withResolvers<never>();
    answers.set("a", () => late.promise);
    const starting = start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    await time.advance(3_000);
    await (await starting).close();
    late.resolve(undefined as never);
    await time.advance(0);
    expect(closed).toEqual(["a"]);
  });
});

describe("a new configuration", () => {
  it("keeps what it names as before, opened and watched as it is", async () => {
    const { start, tries } = house();
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const before = started.ofTenant("t1");
    await started.replace(tenantKeySettings({ a: "a", b: "b" }, { t1: "a", t2: "b" }));
    expect(started.ofTenant("t1")).toBe(before);
    expect(tries).toEqual(["a", "b"]);
    await started.close();
  });

  it("takes effect once its new keys were tried, and not before", async () => {
    const { start, answers, keys } = house();
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const late = Promise.withResolvers<never>();
    answers.set("b", () => late.promise);
    const replaced = started.replace(tenantKeySettings({ a: "a", b: "b" }, { t1: "b" }));
    await time.advance(1_000);
    expect(own(started, "t1")).toBe(keys.get("a")!.keyId);
    late.resolve(undefined as never);
    await replaced;
    expect(own(started, "t1")).toBe(keys.get("b")!.keyId);
    expect(started.find(wrappedBy(keys.get("a")!))?.keyId).toBe(keys.get("a")!.keyId);
    await started.close();
  });

  it("ends what it names no more once calls on it had the time to end", async () => {
    const { start, keys, told, closed } = house();
    const started = await start(tenantKeySettings({ a: "a", b: "b" }, { t1: "a" }));
    await started.replace(tenantKeySettings({ b: "b" }, { t1: "b" }));
    const gone = wrappedBy(keys.get("a")!);
    expect(started.find(gone)).toBeDefined();
    await time.advance(14_999);
    expect(closed).toEqual([]);
    await time.advance(1);
    expect(started.find(gone)).toBeUndefined();
    expect(closed).toEqual(["a"]);
    expect(told.at(-1)).toBe(`${gone.providerKeyId} ended`);
    await started.close();
  });

  it("does not end a key that it names otherwise", async () => {
    const { start, keys, told } = house();
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    await started.replace(tenantKeySettings({ renamed: "a" }, { t1: "renamed" }));
    await time.advance(15_000);
    expect(own(started, "t1")).toBe(keys.get("a")!.keyId);
    expect(told).toEqual(["a opened", "renamed opened"]);
    await started.close();
  });

  it("opens a key anew whose settings are others", async () => {
    const { start, keys, closed } = house();
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    await started.replace(tenantKeySettings({ a: "a2" }, { t1: "a" }));
    expect(own(started, "t1")).toBe(keys.get("a2")!.keyId);
    await time.advance(15_000);
    expect(closed).toEqual(["a"]);
    await started.close();
    expect(closed).toEqual(["a", "a2"]);
  });

  it("does not end a key that may be the one that it names otherwise, before that shows", async () => {
    const { start, keys, answers, told } = house();
    for (const [file, ends] of [
      ["same", false],
      ["another", true],
    ] as const) {
      const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
      answers.set(file, async () => {
        throw unavailable();
      });
      if (!ends) keys.set("same", keys.get("a")!);
      const replaced = started.replace(tenantKeySettings({ a: file }, { t1: "a" }));
      await time.advance(3_000);
      await replaced;
      await time.advance(60_000);
      expect(told.filter((line) => line.endsWith(" ended"))).toEqual([]);
      answers.delete(file);
      await time.advance(60_000);
      expect(own(started, "t1")).toBe(keys.get(file)!.keyId);
      expect(told.filter((line) => line.endsWith(" ended"))).toHaveLength(ends ? 1 : 0);
      await started.close();
    }
  });

  it("comes after the one before, where two come at once", async () => {
    const { start, keys, answers } = house();
    const started = await start(tenantKeySettings({}, {}));
    const late = Promise.withResolvers<never>();
    answers.set("a", () => late.promise);
    const first = started.replace(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const second = started.replace(tenantKeySettings({ b: "b" }, { t1: "b" }));
    late.resolve(undefined as never);
    await Promise.all([first, second]);
    expect(own(started, "t1")).toBe(keys.get("b")!.keyId);
    await started.close();
  });

  it("that comes at the end, or is under way then, leaves nothing open", async () => {
    const { start, answers, closed, tries } = house();
    const started = await start(tenantKeySettings({ a: "a" }, { t1: "a" }));
    const late = Promise.withResolvers<never>();
    answers.set("b", () => late.promise);
    const replaced = started.replace(tenantKeySettings({ b: "b", c: "c" }, { t1: "b" }));
    await time.advance(0);
    expect(tries).toEqual(["a", "b", "c"]);
    await started.close();
    await replaced;
    expect([...closed].sort()).toEqual(["a", "c"]);
    await started.replace(tenantKeySettings({ d: "d" }, { t1: "d" }));
    late.resolve(undefined as never);
    await time.advance(60_000);
    expect([...closed].sort()).toEqual(["a", "b", "c"]);
    expect(tries).toEqual(["a", "b", "c"]);
    expect(time.timers()).toBe(0);
  });
});
