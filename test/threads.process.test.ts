/** The threads of a service's pool, as Linux counts them. */
import { readdirSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { startProcess } from "./support/service-process.ts";
import { batchOf, signedOf, spansFrom } from "./support/span-batches.ts";
import { openStream } from "./support/stream-client.ts";

const streams = 6;
const spans = 2_000;

describe.skipIf(process.platform !== "linux")("a service under streams", () => {
  it.each([1, 3])("has as many threads for batches as fluo.kms.threads=%i says", async (threads) => {
    const service = await startProcess({ FLUO_KMS_THREADS: String(threads) });
    const tasks = () => readdirSync(`/proc/${service.child.pid}/task`).length;
    const before = tasks();
    const open = Array.from({ length: streams }, () => openStream(service.grpc));
    for (const stream of open) onTestFinished(stream.close);
    const answers = open.map(async (stream) => {
      await stream.send(batchOf(spansFrom(0, spans), { tenantId: "acme" }));
      let signed = 0;
      while (signed < spans) signed += signedOf(await stream.nextResponse()).length;
    });
    await Promise.all(answers);
    expect(tasks() - before).toBe(threads);
  });
});
