/** PostgreSQL's clock as the second one: a real server, and services whose clock is wrong. */
import { afterAll, expect, it } from "vitest";
import { createTimeWitness } from "../../../src/keys/destruction/time-witness.ts";
import { fromNow, msFromNow } from "../../support/from-now.ts";
import { dayMs } from "../../support/keys-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { postgresBackdoor, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const apartMs = 5_000;

async function opened() {
  const store = await unlocked(await (await postgresBackdoor(server)).open());
  return store;
}

it("is read with what was noted, and noted with it", async () => {
  const store = await opened();
  const witness = createTimeWitness({ time: realTime, store });
  const { second, noted } = await witness.read();
  expect(noted).toBeUndefined();
  expect(second?.name).toBe("PostgreSQL");
  expect(Math.abs(second!.at.getTime() - msFromNow(0))).toBeLessThan(60_000);
  const time = await witness.noteAgreed();
  expect(time.witnessedMs).toBe(0);
  expect(time.secondAt!.getTime()).toBeGreaterThanOrEqual(second!.at.getTime());
  expect((await store.witnessedTime()).noted).toEqual(time);
  await store.close();
});

it.each([10 * 365, -10 * 365])("keeps a service from scheduling whose clock is %d days off", async (days) => {
  const store = await opened();
  const witness = createTimeWitness({ store, time: wallTime(() => fromNow(days * dayMs)) });
  expect(await thrownBy(() => witness.noteAgreed())).toBeKmsError("CLOCKS_DISAGREE", "that of PostgreSQL");
  await store.close();
});

it("is not enough where the provider's clock says otherwise", async () => {
  const store = await opened();
  const second = { name: "the provider aws", read: async () => fromNow(-dayMs) };
  const witness = createTimeWitness({ time: realTime, store, second });
  expect(await thrownBy(() => witness.noteAgreed())).toBeKmsError("CLOCKS_DISAGREE", "that of the provider aws");
  const agreeing = { ...second, read: async () => fromNow(-apartMs) };
  expect((await createTimeWitness({ time: realTime, store, second: agreeing }).read()).second?.name).toBe("PostgreSQL");
  await store.close();
});
