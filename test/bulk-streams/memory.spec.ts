/** What the process holds at most, by Linux, while sixty-four streams load it: batches of a hundred spans, and messages as large as they may be. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { newStore } from "../durable/services.ts";
import { canMeasure, peakMb } from "../support/held.ts";
import { medianOf } from "../support/median.ts";
import { startProcess } from "../support/service-process.ts";
import { firstOfEach, isShort } from "../support/short.ts";
import { openStream } from "../support/stream-client.ts";
import { type BatchShape, encodedBatch } from "./batches.ts";
import { memoryBounds } from "./memory-bounds.ts";

/** Of each run. */
const seconds = isShort ? 2 : 10;
/** Memory is judged by its median; the short form does not judge it. */
const runs = isShort ? 1 : 3;
const streams = 64;

describe.skipIf(!canMeasure)("resident memory", () => {
  it.each(firstOfEach(memoryBounds))(
    "stays below $atMostMb MiB with batches of $count spans in mode $mode",
    async ({ atMostMb, ...shape }) => {
      const samples: number[] = [];
      for (let run = 0; run < runs; run += 1) samples.push(await mostUnder(shape));
      if (isShort) return;
      expect(medianOf(samples), `MiB at most: ${samples.join(", ")}`).toBeLessThan(atMostMb);
    },
  );
});

/** MiB that a new service held at most under streams of such batches. */
async function mostUnder(shape: { mode: "INDIVIDUAL" | "LOG"; count: number }): Promise<number> {
  const service = await startProcess(await newStore("sqlite"));
  const idleMb = peakMb(service);
  const [over, answered] = [new AbortController(), Promise.withResolvers<void>()];
  const floods = Array.from({ length: streams }, (_, n) => {
    const batch = { ...shape, tenantId: `tenant-${n % 16}`, mode: SignMode[shape.mode], requestId: "" };
    return flood(service.grpc, batch, { over: over.signal, answered: answered.resolve });
  });
  // A busy machine may need longer to answer at all.
  void Promise.all([delay(seconds * 1_000), answered.promise]).then(() => over.abort());
  const bytes = await Promise.all(floods);
  const mostMb = peakMb(service);
  console.log({ ...shape, idleMb, mostMb, answersMb: bytes.reduce((sum, each) => sum + each, 0) / 2 ** 20 });
  expect(Math.max(...bytes)).toBeGreaterThan(0);
  await service.end();
  return mostMb;
}

/** Sends, and reads what comes without a look at it, until it is over: how many bytes. Rejects where the stream fails before. */
async function flood(
  target: string,
  shape: BatchShape,
  { over, answered }: { over: AbortSignal; answered: () => void },
): Promise<number> {
  const stream = openStream(target);
  over.addEventListener("abort", () => stream.cancel());
  const batch = encodedBatch(shape);
  const send = async () => {
    while (!over.aborted) await stream.send(batch);
  };
  void send();
  let bytes = 0;
  try {
    for (let each = await stream.next(); each !== undefined; each = await stream.next()) {
      bytes += each.length;
      answered();
    }
  } catch (error) {
    if (!over.aborted) throw error;
  } finally {
    stream.close();
  }
  return bytes;
}
