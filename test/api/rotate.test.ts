import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

/** Gives the tenant both its keys. */
async function newTenant(tenantId: string): Promise<{ data: string; signing: string }> {
  const { keyId: data } = await kms.grpc.generateDataKey({ tenantId });
  const { keyId: signing } = await kms.grpc.signSpan({ tenantId, span: plainSpan });
  return { data, signing };
}

const activeDataKey = async (tenantId: string) => (await kms.grpc.generateDataKey({ tenantId })).keyId;

describe("Rotate of a named tenant", () => {
  it("skips keys that are not due, and says until when", async () => {
    const keys = await newTenant("young");
    const { rotated, skipped, failed } = await kms.grpc.rotate({ tenantId: "young" });
    expect([rotated, failed]).toEqual([[], []]);
    expect(skipped.map(({ key }) => key!.keyId).sort()).toEqual([keys.data, keys.signing].sort());
    for (const { reason } of skipped) expect(reason).toMatch(/^not due until \d{4}-\d\d-\d\dT/);
    expect(await activeDataKey("young")).toBe(keys.data);
  });

  it("rotates them by force, and the new keys are in use at once", async () => {
    const keys = await newTenant("forced");
    const { rotated } = await kms.grpc.rotate({ tenantId: "forced", force: true });
    expect(rotated.map(({ key, retiredKeyId }) => [key!.purpose, key!.version, retiredKeyId])).toEqual([
      [KeyPurpose.DATA, 2, keys.data],
      [KeyPurpose.SIGNING, 2, keys.signing],
    ]);
    expect(await activeDataKey("forced")).toBe(rotated[0]!.key!.keyId);
    const signed = await kms.grpc.signSpan({ tenantId: "forced", span: plainSpan });
    expect(signed.keyId).toBe(rotated[1]!.key!.keyId);
    expect((await kms.grpc.getPublicKeys({ tenantId: "forced" })).keys).toHaveLength(2);
  });

  it("rotates one purpose and leaves the other", async () => {
    const keys = await newTenant("one-purpose");
    const { rotated } = await kms.grpc.rotate({ tenantId: "one-purpose", force: true, purpose: KeyPurpose.SIGNING });
    expect(rotated).toMatchObject([{ retiredKeyId: keys.signing }]);
    expect(await activeDataKey("one-purpose")).toBe(keys.data);
  });

  it("changes nothing in a dry run, and says what it would do", async () => {
    const keys = await newTenant("dry");
    const before = await kms.grpc.status({ tenantId: "dry" });
    const answer = await kms.grpc.rotate({ tenantId: "dry", force: true, dryRun: true });
    expect(answer.dryRun).toBe(true);
    expect(answer.rotated).toMatchObject([
      { retiredKeyId: keys.data, key: { tenantId: "dry", purpose: KeyPurpose.DATA } },
      { retiredKeyId: keys.signing, key: { tenantId: "dry", purpose: KeyPurpose.SIGNING } },
    ]);
    const after = await kms.grpc.status({ tenantId: "dry" });
    expect(after.keys).toEqual(before.keys);
    expect(after.cost!.providerCalls).toEqual(before.cost!.providerCalls);
    expect(await activeDataKey("dry")).toBe(keys.data);
  });

  it("is NOT_FOUND for a tenant without keys, and makes none", async () => {
    for (const options of [{}, { force: true }, { dryRun: true }]) {
      const failure = await failureOf(kms.grpc.rotate({ tenantId: "nobody", ...options }));
      expect(failure).toMatchObject({ code: grpc.status.NOT_FOUND, reason: "NOT_FOUND" });
    }
    expect((await kms.grpc.status({ tenantId: "nobody" })).keys).toEqual([]);
  });
});

describe("a request_id", () => {
  it("repeated gives the same answer and no second rotation", async () => {
    await newTenant("retried");
    const request = { tenantId: "retried", force: true, requestId: "r-1" };
    const first = await kms.grpc.rotate(request);
    expect(first.rotated).toHaveLength(2);
    expect(await kms.grpc.rotate(request)).toEqual(first);
    expect((await kms.grpc.getPublicKeys({ tenantId: "retried" })).keys).toHaveLength(2);
  });

  it("repeated ten times at once makes one rotation, and every answer names its keys", async () => {
    await newTenant("retried-at-once");
    const request = { tenantId: "retried-at-once", force: true, requestId: "r-1" };
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => kms.grpc.rotate(request)));
    const keyIds = answers.flatMap((answer) =>
      answer.status === "fulfilled" ? answer.value.rotated.map(({ key }) => key!.keyId) : [],
    );
    expect(new Set(keyIds).size).toBe(2);
    expect((await kms.grpc.getPublicKeys({ tenantId: "retried-at-once" })).keys).toHaveLength(2);
  });

  it("with another body is ALREADY_EXISTS, and rotates nothing", async () => {
    await newTenant("reused");
    await kms.grpc.rotate({ tenantId: "reused", force: true, requestId: "r-1" });
    const active = await activeDataKey("reused");
    const again = kms.grpc.rotate({ tenantId: "reused", force: true, requestId: "r-1", purpose: KeyPurpose.DATA });
    expect(await failureOf(again)).toMatchObject({
      code: grpc.status.ALREADY_EXISTS,
      reason: "REQUEST_ID_REUSED",
    });
    expect(await activeDataKey("reused")).toBe(active);
  });

  it("belongs to its tenant: another tenant may use the same", async () => {
    await newTenant("own-a");
    await newTenant("own-b");
    for (const tenantId of ["own-a", "own-b"]) {
      expect((await kms.grpc.rotate({ tenantId, force: true, requestId: "same" })).rotated).toHaveLength(2);
    }
  });
});

describe("Rotate without a tenant", () => {
  it("rotates due keys only: none is, so none is rotated", async () => {
    await newTenant("not-due");
    const answer = await kms.grpc.rotate({});
    expect([answer.rotated, answer.failed, answer.remaining]).toEqual([[], [], 0n]);
  });

  it("by force takes the oldest, as many as the limit says, and counts what remains", async () => {
    const own = await startService();
    try {
      for (let index = 0; index < 5; index += 1) await own.grpc.generateDataKey({ tenantId: `t${index}` });
      const dry = await own.grpc.rotate({ force: true, dryRun: true, limit: 2 });
      expect([dry.rotated.length, dry.remaining]).toEqual([2, 3n]);
      const first = await own.grpc.rotate({ force: true, limit: 2 });
      expect([first.rotated.length, first.remaining]).toEqual([2, 3n]);
      expect(first.rotated.map(({ key }) => key!.tenantId)).toEqual(["t0", "t1"]);
      const second = await own.grpc.rotate({ force: true, limit: 2, purpose: KeyPurpose.DATA });
      expect(second.rotated.map(({ key }) => key!.tenantId)).toEqual(["t2", "t3"]);
      expect((await own.grpc.rotate({ force: true, purpose: KeyPurpose.SIGNING })).rotated).toEqual([]);
      const { keys } = await own.grpc.status({});
      expect(Object.fromEntries(keys.map(({ state, count }) => [state, count]))).toEqual({ ACTIVE: 5n, RETIRED: 4n });
    } finally {
      await own.stop();
    }
  });
});
