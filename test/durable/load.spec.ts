/** The service under mixed load while its keys rotate: no call fails, none waits for a rotation, and nothing is lost. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { patience } from "../support/patience.ts";
import { postgresAvailable } from "../support/postgres-cluster.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { type LoadResult, runLoad, summary } from "./load.ts";
import { newStore, startServices } from "./services.ts";

const seconds = Number(process.env.LOAD_SECONDS ?? 15);
const tenantIds = Array.from({ length: 20 }, (_, index) => `tenant-${index}`);
const longestMs = 1_000;

describe("mixed load while keys rotate", () => {
  it("loses and delays no call of one service on SQLite", async () => {
    const services = await startServices(1, await newStore("sqlite"));
    await expectNoLoss("sqlite", services);
  });

  describe.skipIf(!process.env.CI && !postgresAvailable())("with PostgreSQL", () => {
    let server: SharedPostgres;

    beforeAll(async () => {
      server = await sharedPostgres();
    });

    afterAll(() => server.close());

    it("loses and delays no call of two services on it", async () => {
      const services = await startServices(2, await newStore("postgres", server));
      await expectNoLoss("postgres", services);
    });
  });
});

async function expectNoLoss(name: string, services: readonly GrpcClient[]): Promise<void> {
  const result = await runLoad({
    services,
    tenantIds,
    seconds,
    leastRotations: seconds * 5 + 1,
    inFlight: 16,
    rotateEveryMs: 100,
  });
  const others = result.calls.filter((call) => call.name !== "rotate");
  const during = summary(others.filter((call) => call.duringRotation).map(({ ms }) => ms));
  const apart = summary(others.filter((call) => !call.duringRotation).map(({ ms }) => ms));
  console.log(report(name, result), { during, apart });

  expect(result.failures).toEqual([]);
  expect(result.rotations.length).toBeGreaterThan(seconds * 5);
  // Whatever a rotation itself takes on a busy machine.
  expect([during, apart].filter(({ max }) => max >= patience(longestMs))).toEqual([]);
  // Calls that began while a key of their tenant was being rotated took no longer than the others.
  expect(during.count).toBeGreaterThan(0);
  expect(during.p50).toBeLessThan(2 * apart.p50 + 10);

  await expectWhole(services[0]!, result.rotations.length);
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
