/** What VerifySpan answers, through the API; the rules themselves are tested in test/attestation/verify-span.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { KeyValue } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const tenantId = "acme";
const resource = {
  attributes: [{ key: "service.name", value: { value: { case: "stringValue" as const, value: "shop" } } }],
};
const sign = (tenant = tenantId) => kms.grpc.signSpan({ tenantId: tenant, span: plainSpan, resource });

const attribute = (key: string, text: string) => ({
  key: `audit.integrity.${key}`,
  value: { value: { case: "stringValue" as const, value: text } },
});
const replaced = (attributes: KeyValue[], key: string, text: string) => [
  ...attributes.filter((entry) => entry.key !== `audit.integrity.${key}`),
  attribute(key, text),
];

describe("a signed span", () => {
  it("verifies by its attributes and by the detached statement", async () => {
    const { attributes, statement, signature, keyId, signedAt } = await sign();
    const ok = { verified: true, reason: VerifyReason.OK, keyId, keyState: KeyState.ACTIVE, signedAt };
    const span = { ...plainSpan, attributes };
    expect(await kms.grpc.verifySpan({ tenantId, span, resource })).toMatchObject(ok);
    const evidence = { case: "signedStatement", value: { statement, signature } } as const;
    expect(await kms.grpc.verifySpan({ tenantId, span: plainSpan, resource, evidence })).toMatchObject(ok);
  });

  it("says nothing more where it verifies, and the canonical time whatever wrote it on the span", async () => {
    const { attributes, signedAt } = await sign();
    const [canonical] = attributes.flatMap(({ key, value }) =>
      key === "audit.integrity.signed_at" ? [String(value?.value.value)] : [],
    );
    const span = {
      ...plainSpan,
      attributes: replaced(attributes, "signed_at", canonical!.replace("Z", "000000+00:00")),
    };
    expect(await kms.grpc.verifySpan({ tenantId, span, resource })).toMatchObject({
      verified: true,
      signedAt,
      message: "",
    });
  });

  it("verifies after three rotations, by the retired key", async () => {
    const { attributes, keyId } = await sign("rotated");
    for (let round = 0; round < 3; round += 1) await kms.grpc.rotate({ tenantId: "rotated", force: true });
    const verdict = await kms.grpc.verifySpan({ tenantId: "rotated", span: { ...plainSpan, attributes }, resource });
    expect(verdict).toMatchObject({ verified: true, keyId, keyState: KeyState.RETIRED });
  });
});

describe("what is wrong", () => {
  it("is said, the attribute by its name", async () => {
    const { attributes } = await sign();
    const span = { ...plainSpan, attributes: replaced(attributes, "signed_at", "2026-01-01") };
    const answer = await kms.grpc.verifySpan({ tenantId, span, resource });
    expect(answer).toMatchObject({ verified: false, reason: VerifyReason.MALFORMED });
    expect(answer.message).toMatch(/^audit\.integrity\.signed_at must be a time of RFC 3339 in UTC/);
  });

  it("may be that a resource or scope was not given", async () => {
    const { attributes } = await sign();
    const span = { ...plainSpan, attributes };
    const { message } = await kms.grpc.verifySpan({ tenantId, span });
    expect(message).toBe(
      "the span or its signature was altered; if it was signed with a resource or scope, give that too, as it was then",
    );
  });

  it("is a key that the tenant has not", async () => {
    const { attributes } = await sign();
    const span = { ...plainSpan, attributes: replaced(attributes, "key_id", "0".repeat(32)) };
    expect(await kms.grpc.verifySpan({ tenantId, span, resource })).toMatchObject({
      reason: VerifyReason.UNKNOWN_KEY,
      message: "the tenant has no such key",
    });
  });
});

it("a span that was changed is a SPAN_MISMATCH where the detached statement is authentic", async () => {
  const { statement, signature } = await sign();
  const evidence = { case: "signedStatement", value: { statement, signature } } as const;
  const span = { ...plainSpan, name: "GET /other" };
  expect(await kms.grpc.verifySpan({ tenantId, span, resource, evidence })).toMatchObject({
    verified: false,
    reason: VerifyReason.SPAN_MISMATCH,
  });
});

describe("evidence that is not the tenant's", () => {
  it("is UNKNOWN_KEY: a key id of nobody's", async () => {
    const { attributes } = await sign();
    const span = { ...plainSpan, attributes: replaced(attributes, "key_id", "0".repeat(32)) };
    expect(await kms.grpc.verifySpan({ tenantId, span, resource })).toMatchObject({
      verified: false,
      reason: VerifyReason.UNKNOWN_KEY,
    });
  });

  it("never verifies for another tenant, also with the tenant attribute rewritten", async () => {
    const { attributes } = await sign();
    await sign("umbrella");
    for (const given of [attributes, replaced(attributes, "tenant", "umbrella")]) {
      const span = { ...plainSpan, attributes: given };
      const verdict = await kms.grpc.verifySpan({ tenantId: "umbrella", span, resource });
      expect(verdict.verified).toBe(false);
    }
    const renamed = { ...plainSpan, attributes: replaced(attributes, "tenant", "umbrella") };
    expect(await kms.grpc.verifySpan({ tenantId: "umbrella", span: renamed, resource })).toMatchObject({
      reason: VerifyReason.UNKNOWN_KEY,
    });
  });
});
