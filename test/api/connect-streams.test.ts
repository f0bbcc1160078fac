/** SignSpans by connect-node's own client, against a service with real keys: both modes, errors, deadlines, back-pressure, and a cut with a resend. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { SignMode, VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

type Sent = MessageInitShape<typeof KmsService.method.signSpans.input>;
interface Options {
  mode?: SignMode;
  requestId?: string;
  withAttributes?: boolean;
}
type Signer = Pick<Client<typeof KmsService>, "signSpans">;

const ways: [string, object][] = [
  ["binary", { useBinaryFormat: true }],
  ["JSON", { useBinaryFormat: false }],
  ["binary, compressed", { useBinaryFormat: true, sendCompression: compressionGzip, compressMinBytes: 0 }],
  ["JSON, compressed", { useBinaryFormat: false, sendCompression: compressionGzip, compressMinBytes: 0 }],
];

function client(options: object): Signer {
  const baseUrl = `http://127.0.0.1:${kms.grpcPort}`;
  return createClient(KmsService, createConnectTransport({ baseUrl, httpVersion: "2", ...options }));
}

function batch(tenantId: string, spans: number, more: Options = {}): Sent {
  return { tenantId, resourceSpans: [{ scopeSpans: [{ spans: Array(spans).fill(plainSpan) }] }], ...more };
}

async function* each(...batches: Sent[]) {
  yield* batches;
}

function failure(call: AsyncIterable<unknown>): Promise<ConnectError> {
  return Array.fromAsync(call).then(() => {
    throw new Error("expected the stream to fail");
  }, ConnectError.from);
}

describe.each(ways)("in %s", (way, options) => {
  const tenantId = way.toLowerCase().replaceAll(/[^a-z]+/g, "-");

  it("spans are signed, in their order, and verify", async () => {
    const responses = await Array.fromAsync(
      client(options).signSpans(each(batch(tenantId, 3, { withAttributes: true }), batch(tenantId, 2))),
    );
    expect(responses.map(({ results, batchDone }) => [results.length, batchDone])).toEqual([
      [3, true],
      [2, true],
    ]);
    const signed = responses[0]!.results[0]!.result;
    if (signed.case !== "signed") throw new Error(`it is ${signed.case}`);
    const span = { ...plainSpan, attributes: signed.value.attributes };
    const verdict = await kms.grpc.verifySpan({ tenantId, span });
    expect(verdict).toMatchObject({ verified: true, reason: VerifyReason.OK });
  });

  it("a batch that was cut off is sent again, and has its places in the log", async () => {
    const log = { mode: SignMode.LOG, requestId: "once" };
    const places = async () => {
      const [response] = await Array.fromAsync(client(options).signSpans(each(batch(tenantId, 4, log))));
      return response!.results.map(({ result }) => (result.case === "signed" ? result.value.leafIndex : undefined));
    };
    const cut = new AbortController();
    const lost = client(options).signSpans(each(batch(tenantId, 4, log)), { signal: cut.signal });
    const lostFirst = lost[Symbol.asyncIterator]().next();
    cut.abort();
    expect(await lostFirst.then(() => "answered", ConnectError.from)).toMatchObject({ code: Code.Canceled });
    const first = await places();
    expect(await places()).toEqual(first);
    expect(new Set(first).size).toBe(4);
  });

  it("an error has its code, its text and its details", async () => {
    const error = await failure(client(options).signSpans(each({ tenantId: "A B" })));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "INVALID_ARGUMENT", domain: "kms.fluo.dev" }]);
    expect(error.findDetails(BadRequestSchema)[0]!.fieldViolations).toMatchObject([{ field: "tenant_id" }]);
  });

  it("a bad span has an error in its place, and the stream goes on", async () => {
    const bad = { ...plainSpan, traceId: new Uint8Array(3) };
    const mixed = { tenantId, resourceSpans: [{ scopeSpans: [{ spans: [plainSpan, bad, plainSpan] }] }] };
    const [response] = await Array.fromAsync(client(options).signSpans(each(mixed)));
    expect(response!.results.map(({ result }) => result.case)).toEqual(["signed", "error", "signed"]);
  });

  it("a stream whose time is up is ended", async () => {
    const never = new Promise<never>(() => {});
    async function* silent() {
      yield batch(tenantId, 1);
      await never;
    }
    expect((await failure(client(options).signSpans(silent(), { timeoutMs: 50 }))).code).toBe(Code.DeadlineExceeded);
  });
});

describe.each(ways.slice(0, 2))("in %s", (way, options) => {
  it("a client that does not read is not read, and loses nothing", async () => {
    const spans = 300;
    let sent = 0;
    let isEnough = false;
    async function* all() {
      for (; !isEnough; sent += 1) yield batch(way.toLowerCase(), spans);
    }
    const responses = client(options).signSpans(all())[Symbol.asyncIterator]();
    let signed = (await responses.next()).value!.results.length;
    // Without an end, unless the service takes no more than it has room for.
    let before = -1;
    await eventually(() => {
      const isIdle = sent === before;
      before = sent;
      expect(isIdle).toBe(true);
    });
    isEnough = true;
    for (let each = await responses.next(); !each.done; each = await responses.next()) {
      signed += each.value.results.filter(({ result }) => result.case === "signed").length;
    }
    expect(signed).toBe(sent * spans);
  });
});
