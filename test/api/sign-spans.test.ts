/** SignSpans as callers see it: whole batches signed over one stream, and what the signatures are worth. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { SignMode, VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { InstrumentationScope, Resource, Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { exportSpan } from "../otel/exported-span.ts";
import { afterStep } from "../support/after-step.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { badSpan } from "../support/made-batches.ts";
import { len, message } from "../support/otlp-wire.ts";
import { batchOf, numberedSpan, signedOf, spansFrom, withSignature } from "../support/span-batches.ts";
import { encodeBatch, openStream, type SpanClient } from "../support/stream-client.ts";
import { expectNoKeys } from "../support/api-fixture.ts";

let kms: RunningService;
const clients: SpanClient[] = [];
beforeAll(async () => {
  kms = await startService();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => kms.stop());

function open(options?: Partial<grpc.CallOptions>): SpanClient {
  const client = openStream(`127.0.0.1:${kms.grpcPort}`, options);
  clients.push(client);
  return client;
}

async function verify(tenantId: string, of: Span, from: { resource?: Resource; scope?: InstrumentationScope } = {}) {
  return kms.grpc.verifySpan({ tenantId, span: of, ...from });
}

describe("a stream in mode INDIVIDUAL", () => {
  it("signs each span of each batch, in order, and the signatures verify", async () => {
    const tenantId = "in-order";
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 100), { tenantId, requestId: "first" }));
    await stream.send(batchOf(spansFrom(100, 150), { mode: SignMode.INDIVIDUAL }));
    stream.halfClose();
    const responses = await stream.rest();
    expect(responses.map(({ results, batchDone, requestId }) => [results.length, batchDone, requestId])).toEqual([
      [100, true, "first"],
      [50, true, ""],
    ]);
    const signed = signedOf(...responses);
    for (const n of [0, 1, 50, 99, 100, 149]) {
      const evidence = withSignature(numberedSpan(n), tenantId, signed[n]!);
      expect(await verify(tenantId, evidence)).toMatchObject({ verified: true, reason: VerifyReason.OK });
      expect(await verify(tenantId, { ...evidence, name: "changed" })).toMatchObject({ verified: false });
      expect(await verify(tenantId, withSignature(numberedSpan(n), tenantId, signed[(n + 1) % 150]!))).toMatchObject({
        verified: false,
      });
    }
  });

  it("signs what SignSpan signs", async () => {
    const tenantId = "the-same";
    const alone = await kms.grpc.signSpan({ tenantId, span: numberedSpan(0) });
    const stream = open();
    await stream.send(batchOf([numberedSpan(0)], { tenantId: tenantId }));
    const [signed] = signedOf(await stream.nextResponse());
    expect(signed!.keyId).toBe(alone.keyId);
    expect(await verify(tenantId, withSignature(numberedSpan(0), tenantId, signed!))).toMatchObject({ verified: true });
  });

  it("gives the attributes to put on each span where they are asked for, and these verify", async () => {
    const tenantId = "with-attributes";
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 20), { tenantId, withAttributes: true }));
    await stream.send(batchOf(spansFrom(20, 40)));
    stream.halfClose();
    const signed = signedOf(...(await stream.rest()));
    expect(signed.map(({ signature, keyId }) => signature.length + keyId.length)).toEqual(Array(40).fill(0));
    for (const n of [0, 19, 20, 39]) {
      const span = { ...numberedSpan(n), attributes: signed[n]!.attributes };
      expect(await verify(tenantId, span)).toMatchObject({ verified: true, reason: VerifyReason.OK });
      expect(await verify(tenantId, { ...span, name: "changed" })).toMatchObject({ verified: false });
    }
  });

  it("refuses to give attributes from a later message on", async () => {
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 1), { tenantId: "later-attributes" }));
    await stream.send(batchOf(spansFrom(1, 2), { withAttributes: true }));
    expect(await stream.failure()).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      fields: ["with_attributes"],
    });
  });

  it("answers 10,000 spans in messages of less than 1 MiB, of which only the last ends the batch", async () => {
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 10_000), { tenantId: "large", requestId: "large" }));
    stream.halfClose();
    const sizes: number[] = [];
    for (let each = await stream.next(); each !== undefined; each = await stream.next()) sizes.push(each.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
  });

  it("gives a bad span its own error, and the others their signatures", async () => {
    const stream = open();
    const good = batchOf(spansFrom(0, 2), { tenantId: "bad-span" });
    const bad = len(1, len(2, len(2, badSpan)));
    await stream.send(message(encodeBatch(good), bad, encodeBatch(batchOf(spansFrom(2, 4)))));
    const { results } = (await stream.nextResponse())!;
    expect(results.map(({ result }) => result)).toMatchObject([
      { case: "signed" },
      { case: "signed" },
      {
        case: "error",
        value: { code: grpc.status.INVALID_ARGUMENT, field: "resource_spans[1].scope_spans[0].spans[0]" },
      },
      { case: "signed" },
      { case: "signed" },
    ]);
    await stream.send(batchOf([numberedSpan(9)]));
    expect(signedOf(await stream.nextResponse())).toHaveLength(1);
  });

  it("signs with the key that is active when a batch comes", async () => {
    const tenantId = "rotated";
    const stream = open();
    const keyIds: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      await stream.send(batchOf(spansFrom(0, 3), { tenantId: tenantId }));
      const signed = signedOf(await stream.nextResponse());
      expect(new Set(signed.map(({ keyId }) => keyId)).size).toBe(1);
      keyIds.push(signed[0]!.keyId);
      await kms.grpc.rotate({ tenantId, force: true });
      expect(await verify(tenantId, withSignature(numberedSpan(0), tenantId, signed[0]!))).toMatchObject({
        verified: true,
      });
    }
    expect(new Set(keyIds).size).toBe(3);
  });

  it("answers an empty batch with a message of its own, a hundred times, and makes no key for it", async () => {
    const stream = open();
    await stream.send({ tenantId: "empty", requestId: "0" });
    for (let n = 1; n < 100; n += 1) await stream.send({ requestId: String(n) });
    stream.halfClose();
    expect(await stream.rest()).toMatchObject(
      Array.from({ length: 100 }, (_, n) => ({ results: [], batchDone: true, requestId: String(n) })),
    );
    await expectNoKeys(kms, "empty");
  });

  it("takes the body of an OpenTelemetry export with a tenant behind it", async () => {
    const exported = await exportSpan();
    const tenantId = "exported";
    const stream = open();
    await stream.send(message(exported.body, len(2, tenantId)));
    const [signed] = signedOf(await stream.nextResponse());
    const { resource, scope } = exported;
    const evidence = withSignature(exported.span, tenantId, signed!);
    expect(await verify(tenantId, evidence, { resource, scope })).toMatchObject({ verified: true });
    expect(await verify(tenantId, evidence, { resource })).toMatchObject({ verified: false });
  });

  it("writes one row of audit for a batch, and counts its spans", async () => {
    const tenantId = "audited";
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 7), { tenantId: tenantId }));
    const [signed] = signedOf(await stream.nextResponse());
    const rows = async () => (await kms.grpc.admin.listAuditEvents({ tenantId })).events;
    const signings = async () => (await rows()).filter(({ action }) => action === "sign_span");
    const row = { keyId: signed!.keyId, outcome: "OK", count: 7n };
    await afterStep("audit.flushed", async () => expect(await signings()).toMatchObject([row]));
    const metrics = await (await fetch(`${kms.url}/q/metrics`)).text();
    expect(metrics).toMatch(/kms_spans_signed_total\{mode="individual"\} [1-9]/);
    expect(metrics).toMatch(/kms_spans_signed_total\{mode="log"\} \d/);
  });
});

describe("a stream is refused", () => {
  it.each([
    ["no tenant", { resourceSpans: [] }, "tenant_id"],
    ["a malformed tenant", { tenantId: "Acme Ltd" }, "tenant_id"],
    ["a mode that does not exist", { tenantId: "acme", mode: 7 as SignMode }, "mode"],
    ["a request id with a line feed", { tenantId: "acme", requestId: "a\n" }, "request_id"],
    ["10,001 spans in a batch", batchOf(spansFrom(0, 10_001), { tenantId: "acme" }), "resource_spans"],
  ])("with INVALID_ARGUMENT for %s, and the field is named", async (_what, first, field) => {
    const stream = open();
    await stream.send(first);
    expect(await stream.failure()).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      fields: [field],
      reason: "INVALID_ARGUMENT",
    });
  });

  it.each([
    ["tenant", { tenantId: "umbrella" }, "tenant_id"],
    ["mode", { mode: SignMode.LOG }, "mode"],
  ])("with another %s, once what came before is answered", async (_what, later, field) => {
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 2), { tenantId: "first" }));
    await stream.send(later);
    expect(signedOf(await stream.nextResponse())).toHaveLength(2);
    expect(await stream.failure()).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, fields: [field] });
  });

  it("for what is no batch, with no word of how the service reads it", async () => {
    const stream = open();
    await stream.send(Buffer.from("garbage"));
    const { code, message: said } = await stream.failure();
    expect(code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(said).not.toMatch(/\.ts|worker|thread/);
  });

  it("with FAILED_PRECONDITION while the tenant's key is disabled", async () => {
    const tenantId = "disabled";
    const { keyId } = await kms.grpc.signSpan({ tenantId, span: numberedSpan(0) });
    const stream = open();
    await stream.send(batchOf(spansFrom(0, 2), { tenantId: tenantId }));
    await stream.nextResponse();
    await kms.grpc.admin.disableKey({ tenantId, keyId });
    await stream.send(batchOf(spansFrom(2, 4), { tenantId: tenantId }));
    expect(await stream.failure()).toMatchObject({ code: grpc.status.FAILED_PRECONDITION, reason: "KEY_UNUSABLE" });
  });
});

it("streams of many tenants go on side by side, each with its own key", async () => {
  const streams = Array.from({ length: 8 }, (_, n) => ({ tenantId: `side-${n}`, stream: open() }));
  const keyIds = await Promise.all(
    streams.map(async ({ tenantId, stream }) => {
      for (let round = 0; round < 5; round += 1) await stream.send(batchOf(spansFrom(0, 20), { tenantId: tenantId }));
      stream.halfClose();
      const signed = signedOf(...(await stream.rest()));
      expect(signed).toHaveLength(100);
      expect(await verify(tenantId, withSignature(numberedSpan(19), tenantId, signed[99]!))).toMatchObject({
        verified: true,
      });
      return new Set(signed.map(({ keyId }) => keyId));
    }),
  );
  expect(keyIds.map(({ size }) => size)).toEqual(new Array(8).fill(1));
  expect(new Set(keyIds.flatMap((set) => [...set])).size).toBe(8);
});
