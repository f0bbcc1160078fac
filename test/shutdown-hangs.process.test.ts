/** A stop in the worst moment: a rotation hangs at its provider, and streams of spans are open, one of which nobody reads. */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { type OutageService, startOutageService } from "./outage/service.ts";
import { failureOf } from "./support/running-service.ts";
import { type ServiceProcess, startProcess } from "./support/service-process.ts";
import { batchOf, signedOf, spansFrom } from "./support/span-batches.ts";
import { openStream } from "./support/stream-client.ts";

const grace = { FLUO_KMS_SHUTDOWN_GRACE: "2s" };
const clock = join(import.meta.dirname, "crash", "clock.ts");
const tenantIds = Array.from({ length: 200 }, (_, n) => `tenant-${n}`);

interface Streams {
  /** Spans that were signed and read. */
  signed: number;
  /** Awaits the end of those that are read. */
  ended(): Promise<void>;
}

/** Spans that this process signed. */
async function signedSpans({ http }: ServiceProcess): Promise<number> {
  const metrics = await (await fetch(`${http}/q/metrics`)).text();
  return Number(/^kms_spans_signed_total\{mode="individual"\} (\d+)$/m.exec(metrics)?.[1]);
}

async function openStreams(service: ServiceProcess): Promise<Streams> {
  const batch = batchOf(spansFrom(0, 100), { tenantId: "tenant-0" });
  const [idle, busy, unread] = Array.from({ length: 3 }, () => openStream(service.grpc)) as [Stream, Stream, Stream];
  for (const stream of [idle, busy, unread]) onTestFinished(stream.close);
  await idle.send(batch);
  const signed = signedOf(await idle.nextResponse()).length;
  // Read from now on: grpc-js drops what was not, once the stream has ended with an error.
  const busyAnswer = busy.nextResponse();
  await busy.send(batch);
  await expect.poll(() => signedSpans(service)).toBe(signed + 100);
  for (let n = 0; n < 50; n += 1) void unread.send(batch);
  return {
    signed,
    async ended() {
      const draining = { code: grpc.status.UNAVAILABLE, reason: "DRAINING", retry: true };
      expect(await idle.failure()).toMatchObject(draining);
      expect(signedOf(await busyAnswer)).toHaveLength(100);
      expect(await busy.failure()).toMatchObject(draining);
    },
  };
}

type Stream = ReturnType<typeof openStream>;

/** Sends SIGTERM. How long the end may take is tested with a clock, by shutdown-order.test.ts. */
async function ends(service: ServiceProcess, streams: Streams): Promise<void> {
  service.child.kill("SIGTERM");
  const [{ code }] = await Promise.all([service.ended, streams.ended()]);
  expect(code).toBe(0);
}

/** Spans whose signatures are in the audit trail. */
function auditedSpans({ env }: OutageService): number {
  const db = new DatabaseSync(env.FLUO_KMS_SQLITE_FILE!, { readOnly: true });
  try {
    const counted = db.prepare("select sum(count) as uses from kms_audit where action = 'sign_span'").get();
    return (counted as { uses: number }).uses;
  } finally {
    db.close();
  }
}

/** A service that has keys of all tenants, and its fake of a provider. */
async function used(): Promise<OutageService> {
  const service = await startOutageService({ env: grace });
  onTestFinished(() => service.close());
  for (const tenantId of tenantIds) await service.kms.generateDataKey({ tenantId });
  return service;
}

it("ends in order while a call to rotate hangs", async () => {
  const service = await used();
  const [fake] = service.fakes;
  const streams = await openStreams(service);
  await fake.fault({ mode: "hanging" });
  const rotating = failureOf(service.kms.rotate({ tenantId: "tenant-0", force: true }));
  await fake.until(() => fake.inFlight > 0);
  await ends(service, streams);
  expect((await rotating).code).not.toBe(grpc.status.OK);
  expect(auditedSpans(service)).toBeGreaterThanOrEqual(streams.signed + 100);
});

it("ends in order while its own rotation hangs", async () => {
  const before = await used();
  const [fake] = before.fakes;
  expect(await before.end()).toBe(0);
  const env = {
    ...before.env,
    KMS_ROTATION_CHECK_CRON: "* * * * * ?",
    FLUO_CRASH_DAYS: "200",
    FLUO_CRASH_HASTE: "yes",
    KMS_ROTATION_MAX_PER_SECOND: "1", // so that it is not over before it can hang
  };
  const service = await startProcess(env, { preload: [clock] });
  const streams = await openStreams(service);
  const rotations = fake.calls.GenerateDataKey ?? 0;
  await fake.fault({ mode: "hanging" });
  await fake.until(() => (fake.calls.GenerateDataKey ?? 0) > rotations && fake.inFlight > 0);
  await ends(service, streams);
  expect(auditedSpans(before)).toBeGreaterThanOrEqual(streams.signed + 100);
});
