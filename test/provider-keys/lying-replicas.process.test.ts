/** Two services on one database, whose provider begins to lie: one probes it in an hour, and both find out. */
import { join } from "node:path";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";
import { hourAtMost, isProbe, startLyingService } from "./lying-fixture.ts";

/** Hours after one replica that others find the lie, at most. */
const othersAtMost = 5.5 / 60;
/** Calls. */
const wholeProbe = 7;

it("one probes in an hour, and both see a lie within their time", async () => {
  const server = await sharedPostgres();
  onTestFinished(() => server.close());
  const url = await server.createDatabase();
  const pool = new pg.Pool({ connectionString: url, max: 1, allowExitOnIdle: true });
  pool.on("error", () => {}); // the server ends with the test
  const given = { FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: url };
  const { service: one, later, close } = await startLyingService(given);
  onTestFinished(close);
  const [fake] = one.fakes;
  const other = await startProcess(one.env, { preload: [join(import.meta.dirname, "hours.ts")] });
  const probes = () => fake.log.filter(isProbe).length;
  expect(probes()).toBe(2 * wholeProbe); // each at its start
  later(hourAtMost);
  // Each asks for the lease once, and the second one finds that the first has probed. What is given back is due again.
  const leases = async () =>
    (
      await pool.query(
        "select generation, expires_at <= extract(epoch from clock_timestamp()) * 1000 as back from kms_leases where name like 'probe/%'",
      )
    ).rows;
  await expect.poll(leases).toEqual([{ generation: "2", back: true }]);
  const held = () => Promise.all([holdsProbe(one), holdsProbe(other)]);
  await expect.poll(held).toEqual([false, false]);
  expect(probes()).toBe(3 * wholeProbe);

  await fake.fault({ lie: "wrong-context" });
  const isDown = async ({ client }: Pick<ServiceProcess, "client">) =>
    (await client.status({})).providerKeys[0]!.condition === ProviderCondition.DENIED;
  const caught = async () => [await isDown(one), await isDown(other)].filter(Boolean).length;
  later(2 * hourAtMost);
  await expect.poll(caught).toBeGreaterThan(0);
  later(2 * hourAtMost + othersAtMost);
  // The lease of the first one's probe ends by PostgreSQL's clock, in a minute of real time.
  await expect.poll(caught).toBe(2);
});

/** From the answer that gives it the lease of a probe until the answer that takes it back; the key has its next time then. */
async function holdsProbe({ http }: Pick<ServiceProcess, "http">): Promise<boolean> {
  const metrics = await (await fetch(`${http}/q/metrics`)).text();
  return /^kms_lease_held\{name="probe"[^}]*\} 1$/m.test(metrics);
}
