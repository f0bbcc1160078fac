/** Many callers at once: streams of many tenants in both modes, calls between them, rotations, and callers that make trouble. */
import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { ServiceProcess } from "../support/service-process.ts";
import { numberedSpan } from "../support/span-batches.ts";
import { steady, type SteadyResult } from "./steady.ts";
import { troubles } from "./trouble.ts";

export interface LoadResult {
  streams: SteadyResult[];
  rotations: number;
  calls: number;
  /** Of a call. */
  longestMs: number;
  /** How often each trouble was made. */
  troubles: Record<string, number>;
  /** What failed that should not, or failed in another way than it must. */
  failures: string[];
}

export interface LoadOptions {
  streams: number;
  seconds: number;
  /** Tells its batches from those of other loads. */
  name: string;
}

const tenantIds = Array.from({ length: 16 }, (_, n) => `tenant-${n}`);
const rotateEveryMs = 250;
const troubleEveryMs = 50;
const smallestBatch = 80;
const batchSizes = 41;

export async function load(service: ServiceProcess, { streams, seconds, name }: LoadOptions): Promise<LoadResult> {
  const { client: kms, grpc: target } = service;
  let endMs = 0;
  const goOn = () => performance.now() < endMs;
  const result: LoadResult = { streams: [], rotations: 0, calls: 0, longestMs: 0, troubles: {}, failures: [] };

  const failed = (what: string) => (error: Error) => void result.failures.push(`${what}: ${error.message}`);

  async function streamOn(n: number): Promise<void> {
    const answered = await steady({
      target,
      kms,
      name: `${name}-${n}`,
      tenantId: tenantIds[n % tenantIds.length]!,
      mode: n % 2 === 0 ? SignMode.INDIVIDUAL : SignMode.LOG,
      spansIn: (batch) => smallestBatch + ((n + batch) % batchSizes),
      goOn,
    });
    result.streams.push(answered);
  }

  async function callOn(): Promise<void> {
    while (goOn()) {
      const tenantId = tenantIds[randomInt(tenantIds.length)]!;
      const beganMs = performance.now();
      await kms.signSpan({ tenantId, span: numberedSpan(result.calls) }).catch(failed("SignSpan"));
      result.calls += 1;
      result.longestMs = Math.max(result.longestMs, performance.now() - beganMs);
    }
  }

  async function rotateOn(): Promise<void> {
    while (goOn()) {
      const tenantId = tenantIds[randomInt(tenantIds.length)]!;
      await kms.rotate({ tenantId, purpose: KeyPurpose.SIGNING, force: true }).catch(failed("Rotate"));
      result.rotations += 1;
      await delay(rotateEveryMs);
    }
  }

  async function troubleOn(what: string): Promise<void> {
    while (goOn()) {
      await troubles[what]!(target).catch(failed(what));
      result.troubles[what] = (result.troubles[what] ?? 0) + 1;
      await delay(troubleEveryMs);
    }
  }

  for (const tenantId of tenantIds) await kms.signSpan({ tenantId, span: numberedSpan(0) });
  endMs = performance.now() + seconds * 1_000;
  await Promise.all([
    ...Array.from({ length: streams }, (_, n) => streamOn(n).catch(failed(`stream ${n}`))),
    ...Object.keys(troubles).map(troubleOn),
    callOn(),
    rotateOn(),
  ]);
  return result;
}
