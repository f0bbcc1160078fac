/** The service under mixed load while its keys rotate: no call fails, none waits for a rotation, and nothing is lost. */
import { describe, expect, it } from "vitest";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { medianOf } from "../support/median.ts";
import { patience } from "./patience.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { isShort } from "../support/short.ts";
import { type LoadResult, runLoad, type Summary, summary } from "./load.ts";
import { newStore, serverOfFile, startServices } from "./services.ts";

const server = await serverOfFile();

/** Of each run. */
const seconds = Number(process.env.LOAD_SECONDS ?? (isShort ? 2 : 15));
/** Delays are judged by their median; the short form judges none. */
const runs = isShort ? 1 : 3;
const tenantIds = Array.from({ length: 20 }, (_, index) => `tenant-${index}`);
const longestMs = 1_000;

describe("mixed load while keys rotate", () => {
  it("loses and delays no call of one service on SQLite", async () => {
    await expectNoLoss("sqlite", await startServices(1, await newStore("sqlite")));
  });

  it.skipIf(isShort || server === undefined)("loses and delays no call of two services on PostgreSQL", async () => {
    await expectNoLoss("postgres", await startServices(2, await newStore("postgres", server)));
  });
});

async function expectNoLoss(name: string, services: readonly GrpcClient[]): Promise<void> {
  const delays: { during: Summary; apart: Summary }[] = [];
  let rotations = 0;
  for (let run = 0; run < runs; run += 1) {
    const result = await runLoad({
      services,
      tenantIds,
      seconds,
      leastRotations: seconds * 5 + 1,
      inFlight: 16,
      rotateEveryMs: 100,
    });
    const each = delaysOf(result);
    console.log(report(name, result), each);
    delays.push(each);
    rotations += result.rotations.length;

    expect(result.failures).toEqual([]);
    expect(result.rotations.length).toBeGreaterThan(seconds * 5);
    expect(each.during.count).toBeGreaterThan(0);
  }
  if (!isShort) expectNoDelay(delays);
  await expectWhole(services[0]!, rotations);
}

/** Times of calls that began while a key of their tenant was being rotated, and of the others. */
function delaysOf({ calls }: LoadResult): { during: Summary; apart: Summary } {
  // Whatever a rotation itself takes on a busy machine.
  const others = calls.filter((call) => call.name !== "rotate");
  const timesOf = (duringRotation: boolean) =>
    summary(others.filter((call) => call.duringRotation === duringRotation).map(({ ms }) => ms));
  return { during: timesOf(true), apart: timesOf(false) };
}

function expectNoDelay(delays: readonly { during: Summary; apart: Summary }[]): void {
  const longest = delays.map(({ during, apart }) => Math.max(during.max, apart.max));
  expect(medianOf(longest), `longest calls: ${longest.join(", ")} ms`).toBeLessThan(patience(longestMs));
  // Calls that began while a key of their tenant was being rotated took no longer than the others.
  const later = delays.map(({ during, apart }) => during.p50 - 2 * apart.p50);
  expect(medianOf(later), `p50 in a rotation less twice that of the others: ${later.join(", ")} ms`).toBeLessThan(10);
}

/** One ACTIVE key a tenant and purpose, versions without gaps, as many as were made, and an audit trail to match. */
async function expectWhole(kms: GrpcClient, rotations: number): Promise<void> {
  let versions = 0;
  for (const tenantId of tenantIds) {
    for (const purpose of [KeyPurpose.DATA, KeyPurpose.SIGNING]) {
      const { keys } = await kms.admin.listKeys({ tenantId, purpose, pageSize: 1_000 });
      expect(keys.map(({ version }) => version?.version)).toEqual(keys.map((_, index) => index + 1));
      expect(keys.map(({ state }) => state)).toEqual([...keys.slice(1).map(() => KeyState.RETIRED), KeyState.ACTIVE]);
      versions += keys.length - 1;
    }
  }
  expect(versions).toBe(2 * rotations);
  const { problems } = await kms.admin.verifyAudit({});
  expect(problems).toEqual([]);
}

function report(store: string, { calls }: LoadResult): string {
  const line = (name: string, ms: readonly number[]) => {
    const { count, p50, p99, max } = summary(ms);
    const [a, b, c] = [p50, p99, max].map((value) => value.toFixed(1).padStart(7));
    return `${name.padEnd(16)} ${String(count).padStart(7)} calls, p50 ${a} ms, p99 ${b} ms, longest ${c} ms`;
  };
  const names = [...new Set(calls.map(({ name }) => name))].sort();
  const lines = names.map((name) =>
    line(
      name,
      calls.filter((call) => call.name === name).map(({ ms }) => ms),
    ),
  );
  const all = line(
    "all",
    calls.map(({ ms }) => ms),
  );
  return [`${store}, ${seconds} s, ${Math.round(calls.length / seconds)} calls a second`, ...lines, all].join("\n");
}
