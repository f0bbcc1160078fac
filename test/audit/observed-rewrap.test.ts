/** What a re-wrapping tells others: damage to the observer, progress to health, and what is left to whoever reads Status. */
import { textsOf } from "../support/notice-texts.ts";
import { describe, expect, it, vi } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import type { RewrapResult } from "../../src/keys/rewrapping.ts";
import { type Failure, observedRewrap, unobserved } from "../../src/audit/observer.ts";
import { rewrapNotices } from "../../src/health/rewraps.ts";

const keyId = "ab".repeat(16);
const current = { provider: "aws", providerKeyId: "arn" };
const other = { provider: "local", providerKeyId: "local:00" };
const key = { tenantId: "acme", purpose: "data", keyId, version: 1, ...other } as const;
const request = { by: { actor: "ann", requestId: "" }, limit: 100, dryRun: false };
const nothing: RewrapResult = {
  target: current,
  storeKey: false,
  keys: 0,
  failed: [],
  interrupted: undefined,
  others: [],
  remaining: 0,
  next: undefined,
};

async function tell(result: Partial<RewrapResult>, dryRun = false) {
  const failed = vi.fn<(failure: Failure, error: unknown) => void>();
  const moved = vi.fn();
  const rewrap = observedRewrap({ rewrap: async () => ({ ...nothing, ...result }) }, { ...unobserved, failed }, moved);
  await rewrap.rewrap({ ...request, dryRun });
  return { failed: failed.mock.calls.map(([failure]) => failure), moved: moved.mock.calls.length };
}

const failing = (code: KmsErrorCode) => new KmsError(code, "as told");

describe("a re-wrapping", () => {
  it("tells of damaged records, as which action of whom, and of nothing else that failed", async () => {
    const told = await tell({
      failed: [
        { key, error: failing("DATA_LOSS") },
        { key: undefined, error: failing("DATA_LOSS") },
        { key, error: failing("PROVIDER_DENIED") },
        { key, error: failing("CONFLICT") },
      ],
    });
    const about = { actor: "ann", action: "rewrap" };
    expect(told.failed).toEqual([
      { ...about, tenantId: "acme", keyId },
      { ...about, tenantId: "", keyId: undefined },
    ]);
  });

  it("tells that less remains only where something was moved", async () => {
    expect((await tell({})).moved).toBe(0);
    expect((await tell({ keys: 1 })).moved).toBe(1);
    expect((await tell({ storeKey: true })).moved).toBe(1);
    expect((await tell({ keys: 1 }, true)).moved).toBe(0);
  });
});

describe("the remark in Status", () => {
  const remarks = (keys: number, storeKey: typeof other, isNamed = true) =>
    rewrapNotices(
      {
        countWrappedByOthers: async () => (keys === 0 ? [] : [{ ...other, keys }]),
        storeKey: async () => ({ ...storeKey, storeId: "", wrapped: new Uint8Array(), createdAt: new Date(0) }),
      },
      { wrapping: () => ({ current, tenants: new Map() }), isNamed: () => isNamed },
    );

  it("says how many keys are under which other provider key, and what to do", async () => {
    expect(textsOf(await remarks(1204, current))).toEqual([
      "1,204 keys are still under local local:00: run fluo-kms rewrap.",
    ]);
    expect(textsOf(await remarks(1, current))).toEqual(["1 key is still under local local:00: run fluo-kms rewrap."]);
  });

  it("says where nobody could", async () => {
    expect(textsOf(await remarks(2, current, false))).toEqual([
      "2 keys are still under local local:00, which the configuration does not name: name it, and run fluo-kms rewrap.",
    ]);
  });

  it("names the store key too, and says nothing where nothing is left", async () => {
    expect(textsOf(await remarks(0, other))).toEqual([
      "The store key is still under local local:00: run fluo-kms rewrap.",
    ]);
    expect(textsOf(await remarks(0, current))).toEqual([]);
  });
});
