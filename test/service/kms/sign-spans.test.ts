/** What a stream of batches may name, what the audit trail says of it, and the order in which batches come to a log. */
import { afterAll, describe, expect, it } from "vitest";
import type { LogBatch } from "../../../src/batch/enter.ts";
import { createBatchPool } from "../../../src/batch/pool/pool.ts";
import { KmsError } from "../../../src/errors.ts";
import { createHeads } from "../../../src/tenant-log/heads.ts";
import { createSequencer } from "../../../src/tenant-log/sequencer.ts";
import type { CallContext } from "../../../src/call/context.ts";
import { type SignSpansParts, signSpans } from "../../../src/service/kms/sign-spans.ts";
import type { Answers } from "../../../src/call/stream.ts";
import { badSpan, batchOf, decoded, spansFrom } from "../../support/made-batches.ts";
import { thrownBy } from "../../support/matchers.ts";
import { len, message, varint } from "../../support/otlp-wire.ts";
import { call, setUp as setUpService } from "../../support/service-fixture.ts";
import { wallTime } from "../../support/wall-time.ts";

const pool = createBatchPool({ threads: 2 });
afterAll(() => pool.close());

const tenantId = (id: string) => len(2, id);
const mode = (number: number) => varint(3, number);
const requestId = (id: string) => len(4, id);
const spans = batchOf(spansFrom(0, 3));

async function setUp(change: Partial<SignSpansParts> = {}, context: CallContext = call()) {
  const service = setUpService();
  const { store, keyring } = service;
  const time = { ms: service.parts.time.now().getTime() };
  const clock = () => new Date(time.ms);
  const appended: LogBatch[] = [];
  const heads = createHeads({ store, issuer: "test", time: wallTime(clock) });
  const log = createSequencer({ store, heads, keys: keyring, pool, time: wallTime(clock) });
  const sequencer: SignSpansParts["sequencer"] = {
    append(tenant, batch, ...given) {
      appended.push(batch);
      return log.append(tenant, batch, ...given);
    },
  };
  const timed: [number, string][] = [];
  const batchTook = (seconds: number, mode: string) => void timed.push([seconds, mode]);
  const parts = { ...service.parts, time: wallTime(clock), pool, sequencer, batchTook, ...change };
  return { ...service, timed, time, appended, stream: signSpans(parts)(context) };
}

async function responses(answers: Answers) {
  const all: Uint8Array[] = [];
  for await (const each of answers.messages) all.push(each);
  return decoded(all);
}

describe("the first batch of a stream", () => {
  it("says for whom and how to sign, and later ones may repeat it or leave it empty", async () => {
    const { stream, counts, timed } = await setUp();
    for (const start of [tenantId("acme"), message(tenantId("acme"), mode(1)), message()]) {
      const [response] = await responses(await stream.take(message(start, spans, requestId("r"))));
      expect(response).toMatchObject({ batchDone: true, requestId: "r", checkpoint: "" });
      expect(response!.results.map(({ result }) => result.case)).toEqual(["signed", "signed", "signed"]);
    }
    expect(counts).toEqual(new Array(3).fill([3, "individual"]));
    expect(timed).toEqual(new Array(3).fill([expect.any(Number), "individual"]));
    for (const [seconds] of timed) expect(seconds).toBeGreaterThan(0);
  });

  it.each([
    ["no tenant", spans, "tenant_id"],
    ["a malformed tenant", message(tenantId("Acme"), spans), "tenant_id"],
    ["a mode that does not exist", message(tenantId("acme"), mode(3), spans), "mode"],
    ["an unknown field", message(tenantId("acme"), len(6, "x")), "request"],
    ["a request id with a space", message(tenantId("acme"), requestId("a b")), "request_id"],
    ["a request id of 129 characters", message(tenantId("acme"), requestId("a".repeat(129))), "request_id"],
    [
      "a broken frame",
      message(tenantId("acme"), len(1, len(2, Buffer.of(0x12, 9)))),
      "resource_spans[0].scope_spans[0].spans[0]",
    ],
    ["10,001 spans", message(tenantId("acme"), batchOf(spansFrom(0, 10_001))), "resource_spans"],
  ])("is refused with %s", async (_what, bytes, field) => {
    const { stream, rows } = await setUp();
    const error = await thrownBy(() => stream.take(bytes));
    expect(error).toBeKmsError("INVALID_ARGUMENT");
    expect((error as KmsError).violations.map((violation) => violation.field)).toEqual([field]);
    expect(await rows()).toMatchObject([{ actor: "ann", action: "sign_span", outcome: "INVALID_ARGUMENT" }]);
  });
});

describe("a later batch", () => {
  it.each([
    ["tenant", tenantId("umbrella"), "tenant_id"],
    ["mode", mode(2), "mode"],
  ])(
    "ends the stream with another %s, and is audited once for all that comes behind it",
    async (_what, change, field) => {
      const { stream, rows } = await setUp();
      await stream.take(message(tenantId("acme"), spans));
      for (const batch of [message(change, spans), spans, message(tenantId("acme"), spans)]) {
        expect(await thrownBy(() => stream.take(batch))).toMatchObject({ violations: [{ field }] });
      }
      expect(await rows()).toMatchObject([
        { action: "sign_span", tenantId: "acme", outcome: "OK", count: 3 },
        { action: "sign_span", tenantId: "acme", outcome: "INVALID_ARGUMENT", count: 1 },
      ]);
    },
  );
});

describe("a batch", () => {
  it("without spans is answered, makes no key and is in no trail", async () => {
    const { stream, keyring, rows } = await setUp();
    for (const modeOf of [message(), mode(1)]) {
      const answers = await stream.take(message(tenantId("acme"), modeOf, requestId("empty")));
      expect(await responses(answers)).toMatchObject([{ results: [], batchDone: true, requestId: "empty" }]);
    }
    expect((await keyring.publicKeys.all("acme")).keys).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  it("counts the spans that were signed, and not those that were refused", async () => {
    const { stream, counts, rows } = await setUp();
    const batch = batchOf([...spansFrom(0, 2), badSpan, ...spansFrom(2, 4)]);
    const [response] = await responses(await stream.take(message(tenantId("acme"), batch)));
    expect(response!.results.map(({ result }) => result.case)).toEqual([
      "signed",
      "signed",
      "error",
      "signed",
      "signed",
    ]);
    await stream.take(batchOf([badSpan]));
    expect(counts).toEqual([[4, "individual"]]);
    expect(await rows()).toMatchObject([{ action: "sign_span", purpose: "signing", outcome: "OK", count: 4 }]);
  });

  it("is not signed while its use cannot be audited", async () => {
    const problem = new KmsError("AUDIT_UNAVAILABLE", "no");
    const check = () => {
      throw problem;
    };
    const { stream, counts } = await setUp({ observer: { check, used() {}, failed() {} } });
    expect(await thrownBy(() => stream.take(message(tenantId("acme"), spans)))).toBe(problem);
    expect(counts).toEqual([]);
  });
});

describe("in mode LOG", () => {
  // A stream is given its messages for good.
  const first = () => message(tenantId("acme"), mode(2), batchOf(spansFrom(0, 2)));

  it("each span comes back with its place and its proof, and the last message with the checkpoint", async () => {
    const { stream, counts, rows, keyring } = await setUp();
    const answers = [await stream.take(first()), await stream.take(batchOf([badSpan, ...spansFrom(2, 3)]))];
    const results = (await Promise.all(answers.map(responses))).flat();
    const checkpoint = (size: number) => expect.stringMatching(new RegExp(`^test/acme\n${size}\n`));
    expect(results).toMatchObject([
      { checkpoint: checkpoint(2), batchDone: true },
      { checkpoint: checkpoint(3), batchDone: true },
    ]);
    expect(results.flatMap((each) => each.results.map(({ result }) => result.value))).toMatchObject([
      { leafIndex: 0n, proof: expect.stringMatching(/^c2sp.org\/tlog-proof@v1\nindex 0\n/) },
      { leafIndex: 1n },
      { field: expect.stringMatching(/spans\[0\]/) },
      { leafIndex: 2n },
    ]);
    expect(counts).toEqual([
      [2, "log"],
      [1, "log"],
    ]);
    const { keyId } = await keyring.activeSigningKey("acme");
    expect(await rows()).toMatchObject([{ action: "sign_span", keyId, count: 3 }]);
  });

  it("batches are appended in their order, though the first is the last to be entered", async () => {
    const gate = Promise.withResolvers<void>();
    let entered = 0;
    const slow: SignSpansParts["pool"] = {
      ...pool,
      async enter(...given) {
        if (entered++ === 0) await gate.promise;
        else gate.resolve();
        return pool.enter(...given);
      },
    };
    const { stream, appended } = await setUp({ pool: slow });
    const answers = [first(), batchOf(spansFrom(2, 5)), batchOf(spansFrom(5, 9))].map((each) => stream.take(each));
    await Promise.all(answers);
    expect(appended.map(({ spans }) => spans)).toEqual([2, 3, 4]);
  });

  it("nothing is appended behind a batch that cannot be read", async () => {
    const { stream, appended, rows } = await setUp();
    const broken = len(1, len(2, Buffer.of(0x12, 9)));
    const answers = [first(), broken, batchOf(spansFrom(2, 5))].map((each) => stream.take(each));
    const settled = await Promise.allSettled(answers);
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(appended.map(({ spans }) => spans)).toEqual([2]);
    expect(await rows()).toMatchObject([
      { outcome: "OK", count: 2 },
      { outcome: "INVALID_ARGUMENT", count: 1 },
    ]);
  });

  it("a batch with a request id is entered again as it was first, when it comes again", async () => {
    const { stream, time } = await setUp();
    const batch = () => message(first(), requestId("r"));
    const [once] = await responses(await stream.take(batch()));
    time.ms += 5_000;
    const [again] = await responses(await stream.take(batch()));
    const resultsOf = (response: typeof once) => response!.results.map(({ result }) => result.value);
    expect(resultsOf(again)).toEqual(resultsOf(once));
  });

  it("fails as the log does", async () => {
    const { stream, keyring } = await setUp();
    await responses(await stream.take(first()));
    const { keyId } = await keyring.activeSigningKey("acme");
    await keyring.disable({ tenantId: "acme", keyId, by: { actor: "ann", requestId: "" } });
    expect(await thrownBy(() => stream.take(batchOf(spansFrom(0, 2))))).toBeKmsError("KEY_UNUSABLE");
  });
});
