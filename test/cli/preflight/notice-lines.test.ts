/** Notices that preflight lets stay, by those that make them, and those that another line says. */
import { expect, it, onTestFinished } from "vitest";
import type { Evidence } from "../../../src/cli/preflight/evidence.ts";
import { fail, pass, skipped, warn } from "../../../src/cli/preflight/line.ts";
import { noticeLines, recommendationLines } from "../../../src/cli/preflight/notice-lines.ts";
import { watchDestructions } from "../../../src/health/destruction-requests.ts";
import { startHealthMonitor } from "../../../src/health/monitor.ts";
import { rewrapNotices } from "../../../src/health/rewraps.ts";
import { limitNotices } from "../../../src/limits/notices.ts";
import { watchProvider } from "../../../src/provider-keys/watch.ts";
import { randomMasterKey } from "../../../src/provider/local/master-key.ts";
import { localProvider } from "../../../src/provider/local/open.ts";
import { mayStay, type Notice, notice } from "../../../src/notices.ts";
import { textsOf } from "../../support/notice-texts.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { addKey } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

async function destructionWaiting(): Promise<Notice[]> {
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

function rewrapLeft(isNamed: boolean): Promise<Notice[]> {
  const key = { ...other!, storeId: "", wrapped: new Uint8Array(), createdAt: new Date() };
  return rewrapNotices(
    { countWrappedByOthers: async () => [{ ...other!, keys: 1_204 }], storeKey: async () => key },
    { wrapping: () => ({ current: current!, tenants: new Map() }), isNamed: () => isNamed },
  );
}

/** Twelve provider keys of tenants, and with them the service's own, if that is refused too. */
async function keysRefused(isOwnRefused: boolean): Promise<readonly Notice[]> {
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
    ...limitNotices([
      { limit: "caller", who: "token:app", by: "fluo.kms.limit.caller" },
      { limit: "tenant", who: "acme", by: "the limit of rule greedy" },
    ]),
    ...(await destructionWaiting()),
    ...(await rewrapLeft(true)),
    ...(await keysRefused(false)),
  ];
  expect(notices).toHaveLength(2 + 1 + 2 + 6);
  expect(notices.filter(({ code }) => !mayStay(code))).toEqual([]);
});

it("lets nothing stay by which keys do not open, or that this release does not know", async () => {
  const [unnamed] = await rewrapLeft(false);
  const [own] = await keysRefused(true);
  expect([unnamed!.code, own!.code]).toEqual(["REWRAP_UNNAMED", "PROVIDER_DENIED"]);
  for (const code of [unnamed!.code, own!.code, "SOMETHING_NEW", "constructor", ""]) {
    expect(mayStay(code), code).toBe(false);
  }
});

const evidence = (notices: readonly Notice[], recommendations: readonly Notice[] = []) =>
  ({
    status: { notices: textsOf(notices), notice_details: notices },
    validation: { got: { recommendation_details: recommendations } },
  }) as unknown as Evidence;

it("leaves to another line what that says, unless it passes where the notice may not stay", () => {
  const [local, late] = [notice("PROVIDER_LOCAL", "Local."), notice("NO_SECOND_CLOCK", "No clock.")];
  const lines = [fail("provider", "local"), skipped("clocks", "none")];
  expect(noticeLines(evidence([local, late]), lines)).toEqual([pass("notice", "none that is not said elsewhere here")]);
  expect(noticeLines(evidence([local, late]), [pass("provider", "aws"), pass("clocks", "agree")])).toEqual([
    fail("provider-local", "Local."),
  ]);
  expect(noticeLines(evidence([]), [])).toEqual([pass("notice", "none")]);
});

it("gives a recommendation a line if neither a notice nor another line says it", () => {
  const [paused, stale] = [notice("PROVIDER_PAUSED", "Paused.", "aws"), notice("NO_STALE_KEYS", "Set it.")];
  const well = notice("KEY_PATH_WORKS", "✅ Works.");
  const told = notice("PROVIDER_PAUSED", "Calls to aws are paused.", "aws");
  const found = recommendationLines(evidence([told], [well, paused, stale]), [pass("validate", "20 tests")]);
  expect(found).toEqual([warn("no-stale-keys", "Set it.", "know why it may stay")]);
});

it("fails for a recommendation that may not stay, and warns of one of an earlier release", () => {
  const unpinned = notice("STORE_KEY_UNPINNED", "Pin it.");
  expect(recommendationLines(evidence([], [unpinned]), [])).toEqual([fail("store-key-unpinned", "Pin it.")]);
  const earlier = { status: {}, validation: { got: { recommendations: ["✅ Well.", "Do it."] } } };
  expect(recommendationLines(earlier as unknown as Evidence, [])).toEqual([
    warn("notice", "Do it.", "know why it may stay"),
  ]);
});

it("takes the texts of an earlier release for notices that may not stay", () => {
  const earlier = { status: { notices: ["Integrity: checking 3 %."] } } as unknown as Evidence;
  expect(noticeLines(earlier, [])).toEqual([fail("notice", "Integrity: checking 3 %.")]);
});
