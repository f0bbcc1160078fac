/** Four services on one PostgreSQL append to the log of one tenant, whose key rotates meanwhile: it is one log, and every proof holds. */
import { describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { parseCheckpoint } from "../../src/tlog/checkpoint.ts";
import { parseLogStatement } from "../../src/attestation/log-entry.ts";
import { emptyTree, growTree, rootOf } from "../../src/tlog/merkle.ts";
import { isIncluded } from "../../src/tlog/verify-proof.ts";
import { parseNote, signersOf } from "../../src/tlog/signed-note.ts";
import { parseTlogProof } from "../../src/tlog/inclusion-proof.ts";
import { readLog } from "../crash/log-copy.ts";
import { startProcess } from "../support/service-process.ts";
import { batchOf, numberedSpan, signedOf, spansFrom } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";
import { newStore, serverOfFile } from "./services.ts";

const server = await serverOfFile();
const tenantId = "acme";
const serviceCount = 4;
const streamsAService = 2;
const spansABatch = 500;
const batchesAStream = 25;
/** Of the first stream: with each that was answered the signing key is rotated. */
const rotatedAfter = [5, 12, 20];
const spanCount = serviceCount * streamsAService * batchesAStream * spansABatch;

/** What a caller keeps of a span. */
interface Placed {
  span: number;
  index: number;
  path: Uint8Array;
  /** A signed note. */
  checkpoint: string;
}

describe.skipIf(server === undefined)("services on one store", () => {
  it(`give ${spanCount} spans their places in one log without a gap, and proofs that hold`, async () => {
    const env = await newStore("postgres", server);
    const services = await Promise.all(Array.from({ length: serviceCount }, () => startProcess(env)));
    const clients = services.map(({ client, grpc, http }) => ({ ...client, target: grpc, http }));
    const client = clients[0]!;
    const rotated: Promise<unknown>[] = [];
    const rotate = () => client.rotate({ tenantId, purpose: KeyPurpose.SIGNING, force: true });
    const answered = (batches: number) => void (rotatedAfter.includes(batches) && rotated.push(rotate()));
    const beganAt = performance.now();
    const appending = clients.flatMap(({ target }, service) =>
      Array.from({ length: streamsAService }, (_, stream) => {
        const n = service * streamsAService + stream;
        return appendAll(target, n, n === 0 ? answered : () => {});
      }),
    );
    const placed = (await Promise.all(appending)).flat();
    const seconds = (performance.now() - beganAt) / 1000;
    await Promise.all(rotated);

    const log = await readLog(client, tenantId, 0);
    const { keys, handovers } = await client.getPublicKeys({ tenantId });
    const head = parseCheckpoint(parseNote(log.checkpoint!)!.text)!;
    console.log(
      `${serviceCount} services, one log: ${head.size} entries in ${seconds.toFixed(1)} s, ${handovers.length} handovers`,
    );

    expect(head.size).toBe(spanCount + handovers.length);
    const leaves = Buffer.from(log.leaves.join(""), "hex");
    expect(Buffer.from(rootOf(growTree(emptyTree, leaves).after))).toEqual(Buffer.from(head.root));

    const indices = [...placed.map(({ index }) => index), ...handovers.map(({ leafIndex }) => Number(leafIndex))];
    expect(Array.from(Uint32Array.from(indices).sort())).toEqual(
      Array.from({ length: head.size }, (_, index) => index),
    );

    const verifiers = keys.map(({ raw }) => ({ name: head.origin, publicKey: raw }));
    const trees = new Map(
      [...new Set(placed.map(({ checkpoint }) => checkpoint))].map((text) => {
        const note = parseNote(text)!;
        expect(signersOf(note, verifiers)).toHaveLength(1);
        return [text, parseCheckpoint(note.text)!];
      }),
    );
    const wrong = placed.filter(({ span, index, path, checkpoint }) => {
      const { spanId } = parseLogStatement(log.entries[index]!) ?? {};
      const isItsOwn = spanId === Buffer.from(numberedSpan(span).spanId).toString("hex");
      const leaf = leaves.subarray(index * 32, (index + 1) * 32);
      return !isItsOwn || !isIncluded({ leaf, index, path }, trees.get(checkpoint)!);
    });
    expect(wrong).toEqual([]);
    for (const each of clients) each.close();
  });
});

/** The n-th stream's spans, one batch behind the other. */
async function appendAll(target: string, n: number, answered: (batches: number) => void): Promise<Placed[]> {
  const stream = openStream(target);
  const firsts = Array.from({ length: batchesAStream }, (_, batch) => (n * batchesAStream + batch) * spansABatch);
  const sending = async () => {
    for (const first of firsts) {
      const about = { tenantId, mode: SignMode.LOG, requestId: `from-${first}` };
      await stream.send(batchOf(spansFrom(first, first + spansABatch), about));
    }
    stream.halfClose();
  };
  const placed: Placed[] = [];
  const receiving = async () => {
    for (let response = await stream.nextResponse(); response; response = await stream.nextResponse()) {
      for (const { leafIndex, proof } of signedOf(response)) {
        const { path, checkpoint } = parseTlogProof(proof)!;
        placed.push({ span: firsts[0]! + placed.length, index: Number(leafIndex), path, checkpoint });
      }
      if (response.batchDone) answered(placed.length / spansABatch);
    }
  };
  try {
    await Promise.all([receiving(), sending()]);
    return placed;
  } finally {
    stream.close();
  }
}
