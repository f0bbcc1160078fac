/** Which notices preflight lets stay, told by those that make them. */
import { expect, it, onTestFinished } from "vitest";
import { isHarmless } from "../../../src/cli/preflight/notice-lines.ts";
import { watchDestructions } from "../../../src/health/destruction-remarks.ts";
import { startHealthMonitor } from "../../../src/health/monitor.ts";
import { rewrapRemarks } from "../../../src/health/rewrap-remarks.ts";
import { limitRemarks } from "../../../src/limits/limit-remarks.ts";
import { watchProvider } from "../../../src/provider-keys/watch.ts";
import { randomMasterKey } from "../../../src/provider/local/master-key.ts";
import { localProvider } from "../../../src/provider/local/open.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { addKey } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

async function destructionWaiting(): Promise<string[]> {
  const store = memoryStore(realTime);
  const record = await addKey(store, { tenantId: "acme" });
  const at = new Date();
  const destruction = { by: "token:ann", request: { at, rule: "ops", days: 7 }, confirmedBy: undefined };
  const by = { actor: "ann", requestId: "", action: "request_destruction", at } as const;
  await store.update(record, { ...record, destruction }, by);
  return watchDestructions(
    store,
    wallTime(() => at),
  ).remarks();
}

const [current, other] = ["projects/p/locations/l/keyRings/r/cryptoKeys/k", "arn:aws:kms:eu-central-1:1:key/2"].map(
  (providerKeyId) => ({ provider: "aws", providerKeyId }),
);

function rewrapLeft(isNamed: boolean): Promise<string[]> {
  const key = { ...other!, storeId: "", wrapped: new Uint8Array(), createdAt: new Date() };
  return rewrapRemarks(
    { countWrappedByOthers: async () => [{ ...other!, keys: 1_204 }], storeKey: async () => key },
    { wrapping: () => ({ current: current!, tenants: new Map() }), isNamed: () => isNamed },
  );
}

/** Twelve provider keys of tenants, and with them the service's own, if that is refused too. */
async function keysRefused(isOwnRefused: boolean): Promise<readonly string[]> {
  const describe = async () => ({ state: "disabled", detail: "Disabled" }) as const;
  const provider = { ...localProvider(randomMasterKey()), ...(isOwnRefused && { describe }) };
  const monitor = await startHealthMonitor({
    time: realTime,
    watches: [await watchProvider({ time: realTime, provider })],
    tenantProviderKeys: () =>
      Array.from({ length: 12 }, (_, n) => ({
        name: `key-${n}`,
        tenants: n * 1_000 + 1,
        condition: () => ({ condition: n % 2 === 0 ? "denied" : "unavailable", detail: "as told" }) as const,
      })),
    store: memoryStore(realTime),
    notices: [],
  });
  onTestFinished(() => monitor.close());
  return monitor.current().notices;
}

it("lets stay what goes on in a service that is well, and what is a tenant's affair", async () => {
  const notices = [
    ...limitRemarks([
      { limit: "caller", who: "token:app", by: "fluo.kms.limit.caller" },
      { limit: "tenant", who: "acme", by: "the limit of rule greedy" },
    ]),
    ...(await destructionWaiting()),
    ...(await rewrapLeft(true)),
    ...(await keysRefused(false)),
  ];
  expect(notices).toHaveLength(2 + 1 + 2 + 6);
  expect(notices.filter((notice) => !isHarmless(notice))).toEqual([]);
});

it("lets nothing stay by which keys do not open, or that nobody has thought of", async () => {
  const [unnamed] = await rewrapLeft(false);
  expect(unnamed).toMatch(/does not name/);
  const [own] = await keysRefused(true);
  for (const notice of [unnamed!, own!, "Something new.", "The policy has separation: off, so who may decrypt may."]) {
    expect(isHarmless(notice), notice).toBe(false);
  }
});
