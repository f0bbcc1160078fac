/** The pool with real threads, against the path of a single span and what the pure functions say. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { type BatchPool, type BatchPoolOptions, createBatchPool } from "../../../src/batch/pool/pool.ts";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import { importSigningKey, type UsableSigningKey } from "../../../src/keys/usable-key.ts";
import { enterBatch } from "../../../src/batch/enter.ts";
import { inclusionPath } from "../../../src/tlog/proof-writer.ts";
import { emptyRoot, emptyTree, growTree } from "../../../src/tlog/merkle.ts";
import { signBatch } from "../../../src/batch/sign-individually.ts";
import { maxAnswerBytes } from "../../../src/batch/results.ts";
import { tlogProofText } from "../../../src/tlog/inclusion-proof.ts";
import { thrownBy } from "../../support/matchers.ts";
import { setUp, turn } from "../../support/keys-fixture.ts";
import { badSpan, batchOf, decoded, numberedSpan, resultsOf, spansFrom } from "../../support/made-batches.ts";
import { len } from "../../support/otlp-wire.ts";

const tenant = "acme";
const requestId = "batch-1";
const signedAtMs = Date.parse("2026-01-02T03:04:05.678Z");
const about = { tenant, requestId, signedAtMs };

const pools: BatchPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

function poolOf(threads: number, options: BatchPoolOptions = {}): BatchPool {
  const pool = createBatchPool({ ...options, threads });
  pools.push(pool);
  return pool;
}

/** A pool whose threads, and all messages to them, can be seen. */
function watchedPool(threads: number) {
  const workers: Worker[] = [];
  const seeds: SharedArrayBuffer[] = [];
  const startWorker = () => {
    const worker = new Worker(new URL("../../../src/batch/pool/worker.ts", import.meta.url));
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (message: { args: unknown[] }, transfer?: never) => {
      seeds.push(...message.args.filter((arg) => arg instanceof SharedArrayBuffer));
      post(message, transfer);
    };
    workers.push(worker);
    return worker;
  };
  return { pool: poolOf(threads, { startWorker }), workers, seeds };
}

function usableKey(number = 1): UsableSigningKey {
  const record = { keyId: number.toString(16).padStart(32, "0"), provider: "local", providerKeyId: "k" } as KeyRecord;
  return importSigningKey(record, new Uint8Array(32).fill(number));
}

function signedHere(batch: Uint8Array, { keyId, key }: UsableSigningKey) {
  return signBatch(batch, { ...about, keyId, key }, Buffer.alloc(maxAnswerBytes));
}

/** As many batches at once as there are threads go to all of them. */
function signOnEach(pool: BatchPool, threads: number, key: UsableSigningKey) {
  const batches = Array.from({ length: threads }, (_, i) => batchOf([numberedSpan(i)]));
  return Promise.all(batches.map((batch) => pool.sign(batch, { ...about, key })));
}

const keysHeld = async (pool: BatchPool) => (await pool.keyMemory()).map(({ keys }) => keys);
const isZero = (memory: SharedArrayBuffer) => new Uint8Array(memory).every((byte) => byte === 0);

it("tells how many jobs its threads were given and have not answered", async () => {
  const pool = poolOf(1);
  expect(pool.queued()).toBe(0);
  const entering = Array.from({ length: 3 }, (_, i) => pool.enter(batchOf([numberedSpan(i)]), about));
  const broken = thrownBy(() => pool.enter(Buffer.from("no batch"), about));
  expect(pool.queued()).toBe(4);
  await Promise.all([...entering, broken]);
  expect(pool.queued()).toBe(0);
});

describe("signing a batch", () => {
  it("gives the results that this thread would, with refused spans in their places", async () => {
    const spans = [...spansFrom(0, 50), badSpan, ...spansFrom(51, 100)];
    const key = usableKey();
    const { messages, ...counts } = await poolOf(1).sign(batchOf(spans), { ...about, key });
    const here = signedHere(batchOf(spans), key);
    expect(messages.map((each) => Buffer.from(each))).toEqual(here.messages.map((each) => Buffer.from(each)));
    expect(counts).toEqual({ signed: 99, refused: 1 });
  });

  it("takes 10,000 spans, in messages below 1 MiB", async () => {
    const { messages, signed } = await poolOf(1).sign(batchOf(spansFrom(0, 10_000)), { ...about, key: usableKey() });
    expect(signed).toBe(10_000);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    expect(resultsOf(messages)).toHaveLength(10_000);
  });

  it("refuses a malformed batch and 10,001 spans as this thread would, and goes on", async () => {
    const pool = poolOf(1);
    const by = { ...about, key: usableKey() };
    const error = await thrownBy(() => pool.sign(len(9, ""), by));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "request");
    expect(error).toEqual(await thrownBy(() => enterBatch(len(9, ""), about)));
    const tooMany = await thrownBy(() => pool.sign(batchOf(Array(10_001).fill(badSpan)), by));
    expect(tooMany).toBeKmsError("INVALID_ARGUMENT", "resource_spans");
    expect((await pool.sign(batchOf(spansFrom(0, 1)), by)).signed).toBe(1);
  });
});

describe("a batch that is given to the pool", () => {
  const behind = (head: number) =>
    new Uint8Array([...new Uint8Array(head), ...batchOf(spansFrom(0, 3))]).subarray(head);

  it.each([0, 5])("moves to a thread, with a head of %i bytes before it, as that of a gRPC message", async (head) => {
    const given = behind(head);
    expect((await poolOf(1).sign(given, { ...about, key: usableKey() })).signed).toBe(3);
    expect(given.buffer.byteLength).toBe(0);
  });

  it("is copied where other bytes are in one piece with it, which stay as they are", async () => {
    const given = behind(6);
    const around = Buffer.from(given.buffer.slice(0));
    expect((await poolOf(1).sign(given, { ...about, key: usableKey() })).signed).toBe(3);
    expect(Buffer.from(given.buffer)).toEqual(around);
  });
});

describe("a batch in a log", () => {
  it("is entered, grown and proven as this thread would, in slices", async () => {
    const pool = poolOf(2);
    const spans = [badSpan, ...spansFrom(1, 3_000)];
    const batch = await pool.enter(batchOf(spans), about);
    const here = enterBatch(batchOf(spans), about);
    expect({ ...batch, leaves: here.leaves, entries: here.entries }).toEqual(here);
    expect(Buffer.from(batch.leaves).equals(here.leaves)).toBe(true);
    expect(Buffer.from(batch.entries).equals(here.entries)).toBe(true);

    const { after: before } = growTree(emptyTree, new Uint8Array(32 * 777));
    const growth = await pool.grow(before, [batch.leaves]);
    const expected = growTree(before, here.leaves);
    expect(Buffer.from(growth.root)).toEqual(expected.root);
    expect(Buffer.from(growth.after.frontier)).toEqual(expected.after.frontier);
    expect(growth.nodes.buffer).toBeInstanceOf(SharedArrayBuffer);

    const checkpoint = "origin\n3776\nroot\n\n— origin signature\n";
    const place = { firstIndex: 777, siblings: growth, checkpoint };
    const messages: Uint8Array[] = [];
    for (let from: number | undefined = 0; from !== undefined; ) {
      const { message, next }: { message: Uint8Array; next: number | undefined } = await pool.prove(batch, place, from);
      messages.push(message);
      from = next;
    }
    expect(messages.length).toBeGreaterThan(1);
    expect(decoded(messages).at(-1)).toMatchObject({ batchDone: true, checkpoint, requestId });
    const results = resultsOf(messages).map(({ result }) => result);
    expect(results).toHaveLength(3_000);
    expect(results[0]).toMatchObject({ case: "error", value: { code: 3 } });
    for (const n of [1, 2, 1_500, 2_999]) {
      const index = 777 + n - 1;
      const proof = tlogProofText({ index, path: inclusionPath(expected, index), checkpoint });
      expect(results[n]).toMatchObject({ case: "signed", value: { leafIndex: BigInt(index), proof } });
    }
  });

  it("leaves the caller its frontier, which may lie in the midst of other memory", async () => {
    const pool = poolOf(1);
    const { after } = growTree(emptyTree, new Uint8Array(32 * 3));
    const before = { size: 3, frontier: Buffer.concat([Buffer.alloc(5), after.frontier]).subarray(5) };
    const first = await pool.grow(before, [new Uint8Array(32)]);
    const second = await pool.grow(before, [new Uint8Array(32)]);
    expect(second.root).toEqual(first.root);
  });

  it("grows by the leaves of several batches, one behind the other", async () => {
    const leaves = Array.from({ length: 5 }, (_, i) => new Uint8Array(32).fill(i));
    const growth = await poolOf(1).grow(emptyTree, [Buffer.concat(leaves.slice(0, 3)), Buffer.concat(leaves.slice(3))]);
    expect(Buffer.from(growth.root)).toEqual(growTree(emptyTree, Buffer.concat(leaves)).root);
  });

  it("of no spans grows the empty tree by nothing, as often as one likes", async () => {
    const pool = poolOf(1);
    for (let time = 0; time < 3; time += 1) {
      const { leaves } = await pool.enter(batchOf([]), about);
      const { root, after } = await pool.grow(emptyTree, [leaves]);
      expect([root, after.size]).toEqual([new Uint8Array(emptyRoot), 0]);
    }
  });

  it("is refused where it cannot be read", async () => {
    expect(await thrownBy(() => poolOf(1).enter(len(9, ""), about))).toBeKmsError("INVALID_ARGUMENT", "request");
  });
});

describe("the keys of the threads", () => {
  it("come by shared memory, which is zero once a thread has its copy", async () => {
    const { pool, seeds } = watchedPool(2);
    await signOnEach(pool, 2, usableKey());
    expect(seeds).toHaveLength(2);
    expect(seeds.every(isZero)).toBe(true);
    await signOnEach(pool, 2, usableKey(2));
    expect(seeds).toHaveLength(4);
    expect(seeds.every(isZero)).toBe(true);
  });

  it("come once, however many batches are signed", async () => {
    const { pool, seeds } = watchedPool(1);
    const key = usableKey();
    for (let i = 0; i < 5; i += 1) await signOnEach(pool, 1, key);
    expect(seeds).toHaveLength(1);
    expect(await keysHeld(pool)).toEqual([1]);
  });

  it("are forgotten by every thread when the key is destroyed, after the batches that it was given for", async () => {
    const pool = poolOf(2);
    const key = usableKey();
    const other = usableKey(2);
    await Promise.all([signOnEach(pool, 2, key), signOnEach(pool, 2, other)]);
    expect(await keysHeld(pool)).toEqual([2, 2]);
    const underway = Promise.all(
      Array.from({ length: 4 }, () => pool.sign(batchOf(spansFrom(0, 200)), { ...about, key })),
    );
    key.destroy();
    await pool.forgotten();
    expect(await keysHeld(pool)).toEqual([1, 1]);
    expect((await underway).map(({ signed }) => signed)).toEqual([200, 200, 200, 200]);
    expect(await thrownBy(() => pool.sign(batchOf(spansFrom(0, 1)), { ...about, key }))).toBeKmsError(
      "INTERNAL",
      "destroyed",
    );
    expect((await pool.sign(batchOf(spansFrom(0, 1)), { ...about, key: other })).signed).toBe(1);
  });

  it("are forgotten when the keyring lets its own go", async () => {
    const { keyring } = setUp();
    const pool = poolOf(2);
    await signOnEach(pool, 2, await keyring.activeSigningKey(tenant));
    expect(await keysHeld(pool)).toEqual([1, 1]);
    keyring.close();
    await turn();
    await pool.forgotten();
    expect(await keysHeld(pool)).toEqual([0, 0]);
  });

  it("are 64 a thread: the one that was used longest ago makes room, and comes again", async () => {
    const { pool, seeds } = watchedPool(1);
    const keys = Array.from({ length: 65 }, (_, i) => usableKey(i + 1));
    const signWith = async (key: UsableSigningKey) => {
      const { messages } = await pool.sign(batchOf([numberedSpan(0)]), { ...about, key });
      expect(resultsOf(messages)).toEqual(resultsOf(signedHere(batchOf([numberedSpan(0)]), key).messages));
    };
    for (const key of keys.slice(0, 64)) await signWith(key);
    await signWith(keys[0]!);
    expect(seeds).toHaveLength(64);
    await signWith(keys[64]!); // in the place of keys[1]
    await signWith(keys[0]!);
    expect(seeds).toHaveLength(65);
    await signWith(keys[1]!);
    expect(seeds).toHaveLength(66);
    expect(await keysHeld(pool)).toEqual([64]);
  });
});

describe("the threads", () => {
  it("start with the first batch that needs another one, and are no more than asked for", async () => {
    const { pool, workers } = watchedPool(2);
    expect(workers).toHaveLength(0);
    const key = usableKey();
    await signOnEach(pool, 1, key);
    await signOnEach(pool, 1, key);
    expect(workers).toHaveLength(1);
    await signOnEach(pool, 5, key);
    expect(workers).toHaveLength(2);
  });

  it("keep no process alive that has no batch", () => {
    const script = join(import.meta.dirname, "..", "..", "support", "one-batch.ts");
    const { status, stdout } = spawnSync(process.execPath, [script]);
    expect([status, String(stdout)]).toEqual([0, "0\n"]);
  });

  it("that die take their batches with them as INTERNAL, and are replaced", async () => {
    const { pool, workers, seeds } = watchedPool(1);
    const key = usableKey();
    await signOnEach(pool, 1, key);
    const lost = thrownBy(() => pool.sign(batchOf(spansFrom(0, 10_000)), { ...about, key }));
    await workers[0]!.terminate();
    expect(await lost).toBeKmsError("INTERNAL", "ended");
    expect((await pool.sign(batchOf(spansFrom(0, 1)), { ...about, key })).signed).toBe(1);
    expect(workers).toHaveLength(2);
    expect(seeds.every(isZero)).toBe(true);
  });

  it("have forgotten a key when they die before they do", async () => {
    const { pool, workers } = watchedPool(1);
    const key = usableKey();
    await signOnEach(pool, 1, key);
    key.destroy();
    await Promise.all([workers[0]!.terminate(), pool.forgotten()]);
    expect(await keysHeld(pool)).toEqual([]);
  });

  it("leave no seed behind when they die before they have read it", async () => {
    const { pool, workers, seeds } = watchedPool(1);
    const lost = thrownBy(() => pool.sign(batchOf(spansFrom(0, 1)), { ...about, key: usableKey() }));
    await workers[0]!.terminate();
    expect(await lost).toBeKmsError("INTERNAL", "ended");
    expect(seeds).toHaveLength(1);
    expect(isZero(seeds[0]!)).toBe(true);
  });

  it("tell of a bug in the cause alone, and go on", async () => {
    const pool = poolOf(1);
    const batch = await pool.enter(batchOf([numberedSpan(0)]), about);
    const error = await thrownBy(() => pool.prove(batch, undefined as never, 0));
    expect(error).toBeKmsError("INTERNAL");
    expect((error as Error).message).toBe("a batch could not be worked on");
    expect(String((error as Error).cause)).toMatch(/TypeError/);
    expect((await pool.enter(batchOf([numberedSpan(0)]), about)).spans).toBe(1);
  });
});

describe("closing", () => {
  it("waits for what the threads are at, and ends them", async () => {
    const { pool, workers } = watchedPool(2);
    const key = usableKey();
    const underway = signOnEach(pool, 4, key);
    let ended = 0;
    for (const worker of workers) worker.once("exit", () => (ended += 1));
    await pool.close();
    expect(ended).toBe(2);
    expect((await underway).map(({ signed }) => signed)).toEqual([1, 1, 1, 1]);
    expect(await thrownBy(() => pool.enter(batchOf([]), about))).toBeKmsError("DRAINING");
    key.destroy();
    await pool.close();
  });

  it("starts nothing where nothing ran", async () => {
    const { pool, workers } = watchedPool(2);
    await pool.close();
    expect(workers).toHaveLength(0);
  });
});
