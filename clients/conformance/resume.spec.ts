/** SpanSigner over a network that loses connections at any byte, to a service that is killed: each span once in the log, in order. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { judgeSpans } from "../../src/cli/verify/judged-spans.ts";
import { readKeySet } from "../../src/cli/verify/key-set.ts";
import { randomFrom } from "../../test/crash/random.ts";
import { jwksOf, logSize, startKilledService } from "./killed-service.ts";
import { newFolder, runProgram, whole } from "./programs.ts";

const spansPerBatch = 100;
const tenant = "resumed";
const cuts = 12;
/** Numbers of the cuts at which the service is killed as well. */
const kills = [4, 8];
/** A batch is about 15 KB, and its answer about ten times as much. */
const mostBytes = 400_000;

/** What is resumed: the signer of each language, and the second one of Python. */
const signers = whole.flatMap((language) => {
  const signer = { title: language.title, language, aio: false, batches: 60 };
  return language.name === "python"
    ? [signer, { ...signer, title: "Python with asyncio", aio: true, batches: 100 }]
    : [signer];
});

it.each(signers.map((signer, i) => [signer.title, signer, i] as const))(
  "is resumed in %s",
  async (_, { language, aio, batches }, seed) => {
    const r = randomFrom(seed);
    let budgets = cuts;
    const restarts: Promise<void>[] = [];
    const service = await startKilledService({
      budget: () => (budgets-- > 0 ? 100 + r.below(r.chance(0.3) ? 5_000 : mostBytes) : undefined),
      onCut: (count) => {
        if (kills.includes(count)) restarts.push(service.killAndRestart());
      },
    });
    onTestFinished(() => service.end());
    const out = join(newFolder(), "resumed.json");
    const world = { service: service.address, tenant, batches, spansPerBatch, aio, out, work: newFolder() };
    const told = await runProgram(language, "resume", world);
    await Promise.all(restarts);
    expect(told.failures).toEqual([]);
    expect(service.proxy.cuts).toBeGreaterThanOrEqual(cuts);
    expect(restarts).toHaveLength(kills.length);

    const { leafIndices, spans } = JSON.parse(readFileSync(out, "utf8"));
    const total = batches * spansPerBatch;
    expect(leafIndices).toEqual(Array.from({ length: total }, (_, i) => i));
    expect(await logSize(service.process, tenant)).toBe(total);
    const bytes = Buffer.from(spans, "base64");
    const names = fromBinary(SignSpansRequestSchema, bytes).resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap((scope) => scope.spans.map(({ name }) => name)),
    );
    expect(names).toEqual(
      Array.from({ length: total }, (_, i) => `r-${Math.floor(i / spansPerBatch)}-${i % spansPerBatch}`),
    );
    const judged = judgeSpans(bytes, readKeySet(Buffer.from(await jwksOf(service.process, tenant))), tenant);
    expect(judged.filter(({ verified }) => !verified)).toEqual([]);
    expect(judged.map(({ place }) => place?.claim.index)).toEqual(leafIndices);
  },
);
