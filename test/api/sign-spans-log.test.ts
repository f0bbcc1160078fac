/** SignSpans in mode LOG as callers see it: places in the tenant's log, and proofs of them. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { SignMode, type SignSpansResponse, VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { afterStep } from "../support/after-step.ts";
import { badSpan } from "../support/made-batches.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { len, message } from "../support/otlp-wire.ts";
import { type Batch, batchOf, numberedSpan, signedOf, spansFrom, withProof } from "../support/span-batches.ts";
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

function open(): SpanClient {
  const client = openStream(`127.0.0.1:${kms.grpcPort}`);
  clients.push(client);
  return client;
}

const inLog = (spans: Span[], rest: Omit<Batch, "$typeName"> = {}) => batchOf(spans, { mode: SignMode.LOG, ...rest });

/** All answers to batches that are sent on a stream of their own. */
async function answersTo(...batches: (Batch | Uint8Array)[]): Promise<SignSpansResponse[]> {
  const stream = open();
  for (const batch of batches) await stream.send(batch);
  stream.halfClose();
  return stream.rest();
}

const indicesOf = (...responses: SignSpansResponse[]) =>
  signedOf(...responses).map(({ leafIndex }) => Number(leafIndex));
const from = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index);

describe("a stream in mode LOG", () => {
  it("gives each span its place, in order, and a proof by which it verifies", async () => {
    const tenantId = "proven";
    const responses = await answersTo(inLog(spansFrom(0, 100), { tenantId }), batchOf(spansFrom(100, 150)));
    expect(responses.map(({ batchDone, checkpoint }) => [batchDone, checkpoint !== ""])).toEqual([
      [true, true],
      [true, true],
    ]);
    const signed = signedOf(...responses);
    expect(indicesOf(...responses)).toEqual(from(0, 150));
    for (const n of [0, 63, 64, 99, 100, 149]) {
      expect(signed[n]).toMatchObject({ signature: new Uint8Array(), keyId: "" });
      const span = withProof(numberedSpan(n), tenantId, signed[n]!);
      expect(await kms.grpc.verifySpan({ tenantId, span })).toMatchObject({ verified: true, reason: VerifyReason.OK });
      const changed = { ...span, name: "changed" };
      expect(await kms.grpc.verifySpan({ tenantId, span: changed })).toMatchObject({ verified: false });
      const moved = withProof(numberedSpan(n), tenantId, signed[(n + 1) % 150]!);
      expect(await kms.grpc.verifySpan({ tenantId, span: moved })).toMatchObject({ verified: false });
    }
  });

  it("gives the attributes to put on each span where they are asked for, also of a batch that is sent again", async () => {
    const tenantId = "log-attributes";
    const terms = { tenantId, requestId: "again" };
    const [first] = await answersTo(inLog(spansFrom(0, 10), { ...terms, withAttributes: true }));
    const [plain] = await answersTo(inLog(spansFrom(0, 10), terms));
    const [second] = await answersTo(inLog(spansFrom(0, 10), { ...terms, withAttributes: true }));
    const attributes = signedOf(second).map((each) => each.attributes);
    expect(attributes).toEqual(signedOf(plain).map((each, n) => withProof(numberedSpan(n), tenantId, each).attributes));
    expect(indicesOf(first!)).toEqual(indicesOf(second!));
    for (const [n, { attributes }] of signedOf(first, second).entries()) {
      const span = { ...numberedSpan(n % 10), attributes };
      expect(await kms.grpc.verifySpan({ tenantId, span })).toMatchObject({ verified: true });
      expect(await kms.grpc.verifySpan({ tenantId, span: { ...span, name: "changed" } })).toMatchObject({
        verified: false,
      });
    }
  });

  it("ends each batch with the checkpoint that covers it, which the log publishes", async () => {
    const tenantId = "published";
    const [first, second] = await answersTo(inLog(spansFrom(0, 3), { tenantId }), batchOf(spansFrom(3, 5)));
    expect(signedOf(first).every(({ proof }) => proof.endsWith(first!.checkpoint))).toBe(true);
    const { checkpoint, head } = await kms.grpc.logs.getCheckpoint({ tenantId });
    expect([second!.checkpoint, head!.size]).toEqual([checkpoint, 5n]);
  });

  it("leaves no gap for a span that is refused", async () => {
    const bad = len(1, len(2, len(2, badSpan)));
    const batch = message(
      encodeBatch(inLog(spansFrom(0, 2), { tenantId: "no-gap" })),
      bad,
      encodeBatch(batchOf(spansFrom(2, 4))),
    );
    const [response] = await answersTo(batch);
    const results = response!.results.map(({ result }) =>
      result.case === "signed" ? Number(result.value.leafIndex) : result.value?.field,
    );
    expect(results).toEqual([0, 1, "resource_spans[1].scope_spans[0].spans[0]", 2, 3]);
  });

  it("answers 10,000 spans in messages of less than 1 MiB, of which the last has the checkpoint", async () => {
    const stream = open();
    await stream.send(inLog(spansFrom(0, 10_000), { tenantId: "large" }));
    stream.halfClose();
    const messages: Uint8Array[] = [];
    for (let each = await stream.next(); each !== undefined; each = await stream.next()) messages.push(each);
    expect(messages.length).toBeGreaterThan(5);
    expect(Math.max(...messages.map(({ length }) => length))).toBeLessThan(1024 * 1024);
  });

  it("shares the log with other streams of its tenant: each place is given once, and grows within a stream", async () => {
    const tenantId = "shared";
    const batches = from(0, 10).map((n) => inLog(spansFrom(10 * n, 10 * n + 10), { tenantId }));
    const indices = await Promise.all(from(0, 4).map(async () => indicesOf(...(await answersTo(...batches)))));
    for (const each of indices) expect(each).toEqual(each.toSorted((a, b) => a - b));
    expect(indices.flat().toSorted((a, b) => a - b)).toEqual(from(0, 400));
  });

  it("goes on over a rotation of the key, and what was proven before still verifies", async () => {
    const tenantId = "rotated";
    const stream = open();
    await stream.send(inLog(spansFrom(0, 2), { tenantId }));
    const [before] = signedOf(await stream.nextResponse());
    await kms.grpc.rotate({ tenantId, force: true });
    await stream.send(batchOf(spansFrom(2, 4)));
    const after = signedOf(await stream.nextResponse());
    // The rotation has an entry of its own.
    expect(after.map(({ leafIndex }) => leafIndex)).toEqual([3n, 4n]);
    for (const [n, signed] of [
      [0, before!],
      [2, after[0]!],
    ] as const) {
      const span = withProof(numberedSpan(n), tenantId, signed);
      expect(await kms.grpc.verifySpan({ tenantId, span })).toMatchObject({ verified: true });
    }
  });

  it("answers an empty batch, and makes no log for it", async () => {
    const [response] = await answersTo({ tenantId: "empty", mode: SignMode.LOG, requestId: "r" });
    expect(response).toMatchObject({ results: [], checkpoint: "", batchDone: true, requestId: "r" });
    await expectNoKeys(kms, "empty");
  });

  it("writes the audit's row of a batch, and counts its spans", async () => {
    const tenantId = "audited";
    await answersTo(inLog(spansFrom(0, 7), { tenantId }));
    const rows = async () => (await kms.grpc.admin.listAuditEvents({ tenantId })).events;
    const signings = async () => (await rows()).filter(({ action }) => action === "sign_span");
    const [key] = (await kms.grpc.getPublicKeys({ tenantId })).keys;
    const row = { keyId: key!.keyId, outcome: "OK", count: 7n };
    await afterStep("audit.flushed", async () => expect(await signings()).toMatchObject([row]));
    expect(await (await fetch(`${kms.url}/q/metrics`)).text()).toMatch(/kms_spans_signed_total\{mode="log"\} [1-9]/);
  });
});

describe("a batch with a request id", () => {
  it("gets the places that it has when it is sent again, on whichever stream", async () => {
    const tenantId = "again";
    const batch = inLog(spansFrom(0, 5), { tenantId, requestId: "import-1" });
    const first = await answersTo(batch);
    await answersTo(inLog(spansFrom(5, 9), { tenantId }));
    const again = await answersTo(batch, batch);
    expect(indicesOf(...again)).toEqual([...from(0, 5), ...from(0, 5)]);
    expect(again.map(({ requestId }) => requestId)).toEqual(["import-1", "import-1"]);
    const signed = signedOf(...again);
    expect(signed[0]!.signedAt).toEqual(signedOf(...first)[0]!.signedAt);
    const span = withProof(numberedSpan(4), tenantId, signed[4]!);
    expect(await kms.grpc.verifySpan({ tenantId, span })).toMatchObject({ verified: true });
    expect((await kms.grpc.logs.getCheckpoint({ tenantId })).head!.size).toBe(9n);
  });

  it("is refused with ALREADY_EXISTS for other spans", async () => {
    const tenantId = "another-body";
    await answersTo(inLog(spansFrom(0, 5), { tenantId, requestId: "import-1" }));
    const stream = open();
    await stream.send(inLog(spansFrom(0, 6), { tenantId, requestId: "import-1" }));
    expect(await stream.failure()).toMatchObject({ code: grpc.status.ALREADY_EXISTS, reason: "REQUEST_ID_REUSED" });
    expect((await kms.grpc.logs.getCheckpoint({ tenantId })).head!.size).toBe(5n);
  });
});
