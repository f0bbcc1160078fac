/** The pool with real threads, against the path of a single span. */
import { afterAll, describe, expect, it } from "vitest";
import { createBatchPool } from "../../src/bulk/pool.ts";
import { importSigningKey } from "../../src/keys/usable.ts";
import type { KeyRecord } from "../../src/keys/record.ts";
import { inclusionPath } from "../../src/span/inclusion.ts";
import { emptyRoot, emptyTree } from "../../src/span/merkle.ts";
import { readSignSpanRequest } from "../../src/span/request.ts";
import { signSpan } from "../../src/span/sign.ts";
import { tlogProofText } from "../../src/span/tlog-proof.ts";
import { thrownBy } from "../matchers.ts";
import { len, message } from "../span/otlp-wire.ts";
import { badSpan, batchOf, decoded, numberedSpan, resource, resultsOf, scope, spansFrom } from "../span/batches.ts";

const tenant = "acme";
const signedAtMs = Date.parse("2026-01-02T03:04:05.678Z");
const pool = createBatchPool({ threads: 2 });
afterAll(() => pool.close());

function usableKey(number = 1) {
  const record = { keyId: number.toString(16).padStart(32, "0"), provider: "local", providerKeyId: "k" } as KeyRecord;
  return importSigningKey(record, new Uint8Array(32).fill(number));
}

const by = { tenant, key: usableKey(), requestId: "batch-1", signedAtMs };

/** What SignSpan makes of the same span. */
function signedAlone(n: number) {
  const request = message(len(2, numberedSpan(n)), len(3, resource), len(4, scope));
  const { span } = readSignSpanRequest(request);
  return signSpan(span, { tenant, keyId: by.key.keyId, key: by.key.key }, signedAtMs);
}

describe("a batch that is given to the pool", () => {
  const batch = batchOf(spansFrom(0, 3));
  const behind = (head: number, bytes: Uint8Array) =>
    new Uint8Array([...new Uint8Array(head), ...bytes]).subarray(head);

  it("moves to a thread, with the head of a gRPC message before it", async () => {
    const given = behind(5, batch);
    const { signed } = await pool.sign(given, by);
    expect([signed, given.length]).toEqual([3, 0]);
  });

  it("is copied where other bytes are in one piece with it", async () => {
    const given = behind(6, batch);
    const { signed } = await pool.sign(given, by);
    expect([signed, given.length]).toEqual([3, batch.length]);
  });
});

describe("signing a batch", () => {
  it("gives each span the signature that it gets alone, in order", async () => {
    const { messages, signed, refused } = await pool.sign(batchOf(spansFrom(0, 50)), by);
    expect([signed, refused]).toEqual([50, 0]);
    const results = resultsOf(messages).map(({ result }) => result.case === "signed" && result.value);
    results.forEach((result, n) => {
      expect(result).toMatchObject({ signature: new Uint8Array(signedAlone(n).signature), keyId: by.key.keyId });
    });
    expect(decoded(messages)).toMatchObject([{ batchDone: true, requestId: "batch-1", checkpoint: "" }]);
  });

  it("puts an error in the place of a span that is refused", async () => {
    const { messages, signed, refused } = await pool.sign(batchOf([numberedSpan(0), badSpan, numberedSpan(2)]), by);
    expect([signed, refused]).toEqual([2, 1]);
    expect(resultsOf(messages).map(({ result }) => result)).toMatchObject([
      { case: "signed" },
      {
        case: "error",
        value: {
          code: 3,
          field: "resource_spans[0].scope_spans[0].spans[1]",
          message: "field number 17 is unknown and could not be signed; leave it out",
        },
      },
      { case: "signed" },
    ]);
  });
});

describe("a batch in a log", () => {
  const about = { tenant, requestId: "batch-1", signedAtMs };

  it("of no spans grows the empty tree by nothing, as often as one likes", async () => {
    const single = createBatchPool({ threads: 1 });
    for (let time = 0; time < 3; time += 1) {
      const { root, after } = await single.grow(emptyTree, []);
      expect(after.size).toBe(0);
      expect(root).toEqual(new Uint8Array(emptyRoot));
    }
    await single.close();
  });

  it("is entered, grown and proven", async () => {
    const batch = await pool.enter(batchOf([numberedSpan(0), badSpan, numberedSpan(2)]), about);
    expect(batch).toMatchObject({ spans: 3, refused: [{ at: 1 }], requestId: "batch-1", signedAtMs });
    const growth = await pool.grow(emptyTree, [batch.leaves]);
    expect(growth.after.size).toBe(2);
    const checkpoint = "origin\n2\nroot\n\n— origin signature\n";
    const { message, next } = await pool.prove(batch, { firstIndex: 0, siblings: growth, checkpoint }, 0);
    expect(next).toBeUndefined();
    expect(decoded([message])).toMatchObject([{ batchDone: true, checkpoint, requestId: "batch-1" }]);
    expect(resultsOf([message]).map(({ result }) => result)).toMatchObject([
      {
        case: "signed",
        value: { leafIndex: 0n, proof: tlogProofText({ index: 0, path: inclusionPath(growth, 0), checkpoint }) },
      },
      { case: "error" },
      {
        case: "signed",
        value: { leafIndex: 1n, proof: tlogProofText({ index: 1, path: inclusionPath(growth, 1), checkpoint }) },
      },
    ]);
  });
});

it("a bug in a thread is INTERNAL, and tells of itself in the cause alone", async () => {
  const batch = await pool.enter(batchOf([numberedSpan(0)]), { tenant, requestId: "", signedAtMs });
  const error = await thrownBy(() => pool.prove(batch, undefined as never, 0));
  expect(error).toBeKmsError("INTERNAL");
  expect((error as Error).message).toBe("a batch could not be worked on");
  expect(String((error as Error).cause)).toMatch(/TypeError/);
});
