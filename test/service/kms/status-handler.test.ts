/** What Status says of the audit trail and of rotation, and what of it when the store is gone. */
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { ProviderCondition as ConditionName, StatusRequestSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { KmsError, type KmsErrorCode } from "../../../src/errors.ts";
import type { CacheStats } from "../../../src/keys/cache.ts";
import type { ProviderCondition } from "../../../src/provider-keys/watch.ts";
import { statusHandlers } from "../../../src/service/kms/status-handler.ts";
import { addKey } from "../../support/store-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { call, setUp } from "../../support/service-fixture.ts";
import { wallTime } from "../../support/wall-time.ts";

/** As Status is told of one. */
function cacheOf(keyType: string, stats: Partial<CacheStats>) {
  const loads = { first: 0, refreshed: 0, expired: 0, doubted: 0 };
  return { keyType, maxSize: 9, hits: 1, misses: 1, evictions: 0, size: 0, stale: 0, loads, ...stats };
}

const asking = (tenantId = "") => create(StatusRequestSchema, { tenantId });

it("tells where the audit trail ends, for whoever keeps that elsewhere", async () => {
  const { kms, trail, store } = setUp();
  expect((await kms.status(asking(), call())).audit).toMatchObject({
    writerId: "",
    sequence: 0n,
    mac: "",
    problem: "",
  });
  trail.used("ann", "sign_span", "acme", "0".repeat(32), "signing", 1);
  await trail.close();
  const head = (await store.auditHead())!;
  const { audit } = await kms.status(asking(), call());
  expect(audit).toMatchObject({ writerId: head.writerId, sequence: 1n, mac: Buffer.from(head.mac).toString("hex") });
  expect(audit?.durableAt).toBeDefined();
});

it("says why audit rows cannot be written", async () => {
  const { parts } = setUp();
  const status = async () => ({ head: undefined, problem: "the disk is full" });
  const { audit } = await statusHandlers({ ...parts, audit: { status } }).status(asking(), call());
  expect(audit?.problem).toBe("the disk is full");
});

it("tells how many keys are due, and when a key was last rotated, as the metric does", async () => {
  const { kms, parts, store } = setUp();
  await addKey(store);
  await addKey(store);
  const before = await kms.status(asking(), call());
  expect(before.rotation).toMatchObject({ due: 0n });
  expect(timestampDate(before.rotation!.last!)).toEqual((await store.counts()).lastRotationAt);
  const after = await statusHandlers({ ...parts, schedule: { ...parts.schedule, maxAgeDays: -3_650 } }).status(
    asking(),
    call(),
  );
  expect(after.rotation).toMatchObject({ due: 1n });
});

it("names the store by its id, as check and note-check do", async () => {
  const { kms, parts } = setUp();
  expect(await kms.status(asking(), call())).toMatchObject({ store: "memory", storeId: parts.storeId });
});

it("counts the keys of one tenant", async () => {
  const { kms, store } = setUp();
  for (let n = 0; n < 3; n++) await addKey(store);
  await addKey(store, { tenantId: "other" });
  const { keys } = await kms.status(asking("acme"), call());
  expect(keys.map(({ purpose, state, count }) => [purpose, state, count])).toEqual([
    ["data", "ACTIVE", 1n],
    ["data", "RETIRED", 2n],
  ]);
});

it("answers as last seen when the store is gone, and hides no damage", async () => {
  const failure = { code: "STORE_UNAVAILABLE" as KmsErrorCode };
  const fails = async () => {
    throw new KmsError(failure.code, "as told");
  };
  const { kms, report } = setUp(() => ({ counts: fails, due: fails, auditHead: fails }));
  report.counts = { ...report.counts, byPurpose: { data: { ACTIVE: 7 }, signing: {} } };
  const { keys } = await kms.status(asking(), call());
  expect(keys).toMatchObject([{ purpose: "data", state: "ACTIVE", count: 7n }]);
  failure.code = "DATA_LOSS";
  expect(await thrownBy(() => kms.status(asking(), call()))).toBeKmsError("DATA_LOSS");
});

it("tells of each provider key where it is served and whether it may be used, and not what an operator can do", async () => {
  const { parts, provider } = setUp();
  const since = new Date("2026-01-01T00:00:00.000Z");
  const seen = (condition: ProviderCondition["condition"], detail: string): ProviderCondition => ({
    condition,
    detail,
    since,
    advice: "Allow kms:DescribeKey",
    latencyMs: 7,
    clockSkewMs: undefined,
  });
  const watches = [
    { provider: { ...provider, keyId: "arn:1", region: "eu-west-1" }, current: () => seen("answering", "Enabled") },
    { provider: { ...provider, keyId: "arn:2", region: "eu-central-1" }, current: () => seen("denied", "Disabled") },
    { provider: { ...provider, keyId: "arn:3" }, current: () => seen("unavailable", "did not answer in time") },
  ];
  const { providerKeys } = await statusHandlers({ ...parts, watches }).status(asking(), call());
  expect(providerKeys.map(({ since, ...key }) => ({ ...key, since: timestampDate(since!) }))).toMatchObject([
    { keyId: "arn:1", region: "eu-west-1", condition: ConditionName.ANSWERING, detail: "Enabled", since, latencyMs: 7 },
    { keyId: "arn:2", region: "eu-central-1", condition: ConditionName.DENIED, detail: "Disabled" },
    { keyId: "arn:3", region: "", condition: ConditionName.UNAVAILABLE, detail: "did not answer in time" },
  ]);
  expect(JSON.stringify(providerKeys, (_, value) => (typeof value === "bigint" ? `${value}` : value))).not.toContain(
    "Allow",
  );
});

it("tells what calls cost, what the keys in its caches would at half and at twice the TTL, and how rough that is", async () => {
  const { parts } = setUp();
  const loads = (refreshed: number) => ({ first: 1, refreshed, expired: 2, doubted: 3 });
  const handlers = statusHandlers({
    ...parts,
    time: wallTime(() => new Date(parts.startedAt.getTime() + 86_400_000)),
    watches: [...parts.watches, ...parts.watches],
    providerCalls: () => new Map([["decrypt", 1_000]]),
    caches: () => [
      cacheOf("data", { size: 3, loads: loads(100) }),
      cacheOf("signing", { size: 4, loads: loads(300) }),
      cacheOf("public", { size: 500, loads: loads(9_000) }),
    ],
  });
  const aDay = (await handlers.status(asking(), call())).cost!;
  expect(aDay).toMatchObject({
    providerCalls: { decrypt: 1_000n },
    providerKeys: 2,
    prices: { perTenThousandCalls: 0.03, perKeyMonth: 1, currency: "USD", charged: "all" },
    keyLoads: { first: 2n, refreshed: 400n, expired: 4n, doubted: 6n },
    chargedCallsPerDay: 1_000,
    costPerMonth: expect.closeTo(2.09, 9),
    uncertainty: "",
    example: { costPerMonth: expect.closeTo(1_556.2, 9) },
  });
  expect(aDay.projections.map(({ ttl, callsPerDay }) => [durationMs(ttl!), callsPerDay])).toEqual([
    [1_800_000, 1_400],
    [3_600_000, 1_000],
    [7_200_000, 800],
  ]);
  const looks = (2 * 86_400) / 30;
  expect(aDay.projections[0]!.mostCallsPerDay).toBeCloseTo(1_000 - 404 + looks + (7 * 48) / 0.875, 9);
});

it("tells for how long keys are cached, and how many are served past their time", async () => {
  const { parts } = setUp();
  const caches = () => [cacheOf("data", { size: 5, stale: 3 })];
  const status = await statusHandlers({ ...parts, caches, ttlMs: 1_500, maxStaleMs: 0 }).status(asking(), call());
  expect(status.cache).toMatchObject([{ keyType: "data", size: 5, stale: 3 }]);
  expect([durationMs(status.cacheTtl!), durationMs(status.maxStale!)]).toEqual([1_500, 0]);
});
