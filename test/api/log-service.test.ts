/** LogService on both transports; what a proof must be is tested in test/tenant-log/reader.test.ts. */
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leafHash } from "../../src/tlog/merkle.ts";
import { isConsistent, isIncluded } from "../../src/tlog/verify-proof.ts";
import { parseTlogProof } from "../../src/tlog/inclusion-proof.ts";
import { entryOf, filledLog } from "../support/filled-log.ts";
import { checkpointOf } from "../support/tenant-log-fixture.ts";
import { failureOf } from "../support/running-service.ts";
import { connectFailureOf } from "../support/api-fixture.ts";
import { startLogs } from "../support/logs-fixture.ts";

const tenantId = "acme";
const origin = "kms.example.com/acme";
const size = 700n;

let service: Awaited<ReturnType<typeof startLogs>>;
beforeAll(async () => {
  service = await startLogs();
  await service.keyring.activeSigningKey(tenantId);
  await filledLog(service.store, Number(size), { tenantId });
});
afterAll(() => service.stop());

const publicKey = async () => (await service.keyring.publicKeys.all(tenantId)).keys.at(-1)!.publicKey;
const treeOf = (head: { size: bigint | number; root: Uint8Array } | undefined) => ({
  size: Number(head?.size),
  root: Buffer.from(head?.root ?? []),
});

describe("a log", () => {
  const logs = () => service.grpc.logs;

  it("GetCheckpoint gives the head and the same as a signed checkpoint", async () => {
    const { head, checkpoint } = await logs().getCheckpoint({ tenantId });
    expect(head).toMatchObject({ log: 1, origin, size });
    const signed = checkpointOf(checkpoint, await publicKey());
    expect({ ...signed, ...treeOf(signed) }).toEqual({ origin, ...treeOf(head) });
    expect(await logs().getCheckpoint({ tenantId, log: 1 })).toMatchObject({ checkpoint });
  });

  it("GetInclusionProof proves an entry in the present tree, as hashes and as tlog-proof text", async () => {
    for (const leafIndex of [0n, 255n, 256n, 699n]) {
      const { head, entry, hashes, proof, ...about } = await logs().getInclusionProof({ tenantId, leafIndex });
      expect([about.leafIndex, head!.size]).toEqual([leafIndex, size]);
      expect(Buffer.from(entry)).toEqual(Buffer.from(entryOf(Number(leafIndex))));
      const inclusion = { leaf: leafHash(entry), index: Number(leafIndex), path: Buffer.concat(hashes) };
      expect(isIncluded(inclusion, treeOf(head))).toBe(true);
      const { checkpoint, ...given } = parseTlogProof(proof)!;
      expect(given).toEqual({ index: inclusion.index, path: inclusion.path });
      expect(treeOf(checkpointOf(checkpoint, await publicKey()))).toEqual(treeOf(head));
    }
  });

  it("GetInclusionProof proves an entry in an earlier tree, which nobody signs any more", async () => {
    const { head, entry, hashes, proof } = await logs().getInclusionProof({ tenantId, leafIndex: 7n, treeSize: 300n });
    expect([head!.size, proof]).toEqual([300n, ""]);
    expect(isIncluded({ leaf: leafHash(entry), index: 7, path: Buffer.concat(hashes) }, treeOf(head))).toBe(true);
  });

  it("GetConsistencyProof proves that a tree goes on from an earlier one, with a checkpoint of the present one", async () => {
    for (const [fromSize, toSize] of [
      [1n, 0n],
      [300n, 0n],
      [300n, 700n],
      [700n, 700n],
      [256n, 512n],
    ] as const) {
      const { from, to, hashes, checkpoint } = await logs().getConsistencyProof({ tenantId, fromSize, toSize });
      expect([from!.size, to!.size]).toEqual([fromSize, toSize || size]);
      expect(isConsistent(treeOf(from), treeOf(to), Buffer.concat(hashes))).toBe(true);
      if (to!.size < size) expect(checkpoint).toBe("");
      else expect(treeOf(checkpointOf(checkpoint, await publicKey()))).toEqual(treeOf(to));
    }
  });
});

describe("a call is refused", () => {
  const refused = async (call: (client: typeof service.grpc.logs) => Promise<unknown>) => {
    const byGrpc = await failureOf(call(service.grpc.logs));
    const byConnect = await connectFailureOf(call(service.connect.logs as unknown as typeof service.grpc.logs));
    expect(byConnect).toMatchObject({ code: byGrpc.code, message: byGrpc.message, fields: byGrpc.fields });
    return byGrpc;
  };

  it("with INVALID_ARGUMENT and the field: what lies outside the tree, or the tree outside the log", async () => {
    const over = 2n ** 64n - 1n;
    for (const [field, call] of [
      ["leaf_index", { leafIndex: 700n }],
      ["leaf_index", { leafIndex: over }],
      ["leaf_index", { leafIndex: 300n, treeSize: 300n }],
      ["tree_size", { leafIndex: 0n, treeSize: 701n }],
      ["tree_size", { leafIndex: 0n, treeSize: over }],
    ] as const) {
      const { code, fields } = await refused((logs) => logs.getInclusionProof({ tenantId, ...call }));
      expect([code, fields]).toEqual([Code.InvalidArgument, [field]]);
    }
    for (const [field, call] of [
      ["from_size", { fromSize: 0n }],
      ["from_size", { fromSize: 701n }],
      ["from_size", { fromSize: 301n, toSize: 300n }],
      ["from_size", { fromSize: over }],
      ["to_size", { fromSize: 1n, toSize: 701n }],
    ] as const) {
      const { code, fields } = await refused((logs) => logs.getConsistencyProof({ tenantId, ...call }));
      expect([code, fields]).toEqual([Code.InvalidArgument, [field]]);
    }
  });

  it("with NOT_FOUND: a tenant without a log, and a log that it does not have", async () => {
    await service.keyring.activeSigningKey("logless");
    for (const request of [
      { tenantId: "logless" },
      { tenantId: "nobody" },
      { tenantId, log: 2 },
      { tenantId, log: 2 ** 32 - 1 },
    ]) {
      expect((await refused((logs) => logs.getCheckpoint(request))).code).toBe(Code.NotFound);
      expect((await refused((logs) => logs.getInclusionProof(request))).code).toBe(Code.NotFound);
      expect((await refused((logs) => logs.getConsistencyProof({ ...request, fromSize: 1n }))).code).toBe(
        Code.NotFound,
      );
    }
    expect((await service.grpc.getPublicKeys({ tenantId: "nobody" })).keys).toEqual([]);
  });

  it("with FAILED_PRECONDITION where no key is active, unless it needs none", async () => {
    const { keyId } = await service.keyring.activeSigningKey("disabled");
    await filledLog(service.store, 3, { tenantId: "disabled" });
    await service.keyring.disable({ tenantId: "disabled", keyId, by: { actor: "ann", requestId: "" } });
    const about = { tenantId: "disabled", leafIndex: 0n, fromSize: 1n };
    for (const method of ["getCheckpoint", "getInclusionProof", "getConsistencyProof"] as const) {
      const failure = await refused((logs) => logs[method](about));
      expect(failure).toMatchObject({ code: Code.FailedPrecondition, reason: "KEY_UNUSABLE" });
    }
    expect(await service.grpc.logs.getInclusionProof({ ...about, treeSize: 2n })).toMatchObject({ proof: "" });
  });

  it("with INVALID_ARGUMENT in a log without entries: there is nothing to prove", async () => {
    await service.keyring.activeSigningKey("empty");
    await filledLog(service.store, 0, { tenantId: "empty" });
    expect(await service.grpc.logs.getCheckpoint({ tenantId: "empty" })).toMatchObject({ head: { size: 0n } });
    expect((await refused((logs) => logs.getInclusionProof({ tenantId: "empty" }))).fields).toEqual(["leaf_index"]);
    const empty = { tenantId: "empty", fromSize: 0n };
    expect((await refused((logs) => logs.getConsistencyProof(empty))).fields).toEqual(["from_size"]);
  });

  it("with DATA_LOSS where what is stored does not lead to the root", async () => {
    const damaged = await startLogs((store) => ({
      logHashes: async (...given) => new Uint8Array((await store.logHashes(...given)).length),
    }));
    try {
      await damaged.keyring.activeSigningKey(tenantId);
      await filledLog(damaged.store, 300, { tenantId });
      const { logs } = damaged.grpc;
      for (const call of [
        () => logs.getInclusionProof({ tenantId, leafIndex: 5n }),
        () => logs.getInclusionProof({ tenantId, leafIndex: 5n, treeSize: 100n }),
        () => logs.getConsistencyProof({ tenantId, fromSize: 100n }),
      ]) {
        expect(await failureOf(call())).toMatchObject({ code: Code.DataLoss, reason: "DATA_LOSS" });
      }
    } finally {
      await damaged.stop();
    }
  });
});
