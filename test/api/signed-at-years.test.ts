/** audit.integrity.signed_at of years that a Timestamp cannot hold: a verdict by every way in, where JSON has no way to write the instant. */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { VerifyReason, type VerifySpanResponse } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

type Verifier = { verifySpan(request: object): Promise<VerifySpanResponse> };

const ways: [string, () => Verifier][] = [
  ["gRPC", () => kms.grpc as unknown as Verifier],
  ["Connect in binary", () => kms.connect as unknown as Verifier],
  [
    "Connect in JSON",
    () =>
      createClient(
        KmsService,
        createConnectTransport({ baseUrl: kms.url, httpVersion: "1.1", useBinaryFormat: false }),
      ) as unknown as Verifier,
  ],
  [
    "gRPC-Web",
    () =>
      createClient(KmsService, createGrpcWebTransport({ baseUrl: kms.url, httpVersion: "1.1" })) as unknown as Verifier,
  ],
];

describe.each(ways)("over %s", (_way, client) => {
  const verdictOn = async (signedAt: string) => {
    const { attributes } = await kms.grpc.signSpan({ tenantId: "acme", span: plainSpan });
    const dated = attributes.map((attribute) =>
      attribute.key === "audit.integrity.signed_at"
        ? { key: attribute.key, value: { value: { case: "stringValue", value: signedAt } } }
        : attribute,
    );
    return client().verifySpan({ tenantId: "acme", span: { ...plainSpan, attributes: dated } });
  };

  it.each([
    "0000-01-01T00:00:00.000Z",
    "0000-12-31T23:59:59.999Z",
    "10000-01-01T00:00:00.000Z",
    "+010000-01-01T00:00:00.000Z",
    "-000001-12-31T23:59:59.999Z",
  ])("%s is MALFORMED", async (signedAt) => {
    expect(await verdictOn(signedAt)).toMatchObject({ verified: false, reason: VerifyReason.MALFORMED });
  });

  it.each(["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"])(
    "%s is read, and does not match",
    async (signedAt) => {
      expect(await verdictOn(signedAt)).toMatchObject({ verified: false, reason: VerifyReason.SIGNATURE_MISMATCH });
    },
  );
});
