/** Two services on one database, whose provider begins to lie: one probes it in an hour, and both find out. */
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { useCredentials } from "../support/aws-fixture.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { inPostgresToo, virtualTime } from "../support/virtual-time.ts";
import { hourAtMostMs, startLiar, wholeProbe } from "./lying-fixture.ts";

/** After one replica that others find the lie, at most. */
const othersAtMostMs = 5.5 * 60_000;

useCredentials();

it("one probes in an hour, and both see a lie within their time", async () => {
  const server = await sharedPostgres();
  onTestFinished(() => server.close());
  const url = await server.createDatabase();
  const looking = new pg.Client({ connectionString: url });
  await looking.connect();
  onTestFinished(() => looking.end());
  const time = virtualTime();
  inPostgresToo(time);
  const { fake, properties, probeCalls } = await startLiar(time);
  onTestFinished(() => fake.close());
  const start = async () => {
    const service = await startService(
      { ...properties, "fluo.kms.store": "postgres", "fluo.kms.postgres.url": url },
      { time },
    );
    onTestFinished(() => service.stop());
    return service;
  };
  const [one, other] = [await start(), await start()];
  expect(probeCalls()).toBe(2 * wholeProbe); // each at its start
  await time.skip(hourAtMostMs);
  await time.skip(othersAtMostMs);
  // Each asks for the lease once, and the second one finds that the first has probed. What is given back is due again.
  const { rows: leases } = await looking.query(
    "select generation, expires_at <= extract(epoch from clock_timestamp()) * 1000 as back from kms_leases where name like 'probe/%'",
  );
  expect(leases).toEqual([{ generation: "2", back: true }]);
  expect([await holdsProbe(one), await holdsProbe(other)]).toEqual([false, false]);
  expect(probeCalls()).toBe(3 * wholeProbe);

  await fake.fault({ lie: "wrong-context" });
  const caught = async () => [await isDown(one), await isDown(other)].filter(Boolean).length;
  await time.skip(hourAtMostMs);
  expect(await caught()).toBeGreaterThan(0);
  await time.skip(othersAtMostMs);
  expect(await caught()).toBe(2);
});

async function isDown({ grpc }: RunningService): Promise<boolean> {
  return (await grpc.status({})).providerKeys[0]!.condition === ProviderCondition.DENIED;
}

/** From the answer that gives it the lease of a probe until the answer that takes it back; the key has its next time then. */
async function holdsProbe({ url }: RunningService): Promise<boolean> {
  const metrics = await (await fetch(`${url}/q/metrics`)).text();
  return /^kms_lease_held\{name="probe"[^}]*\} 1$/m.test(metrics);
}
