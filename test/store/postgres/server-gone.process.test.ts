import { expect, it } from "vitest";
import { thrownBy } from "../../support/matchers.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { addKey, postgresBackdoor, unlocked } from "../../support/store-fixture.ts";

it("a PostgreSQL server that goes away makes every call STORE_UNAVAILABLE, and serves again when it is back, with all that was stored", async () => {
  const own = await startPostgres({ durable: true });
  const { open: again } = await postgresBackdoor(own);
  const store = await unlocked(await again());
  const heard: unknown[] = [];
  store.watch((change) => heard.push(change));
  const record = await addKey(store);
  await expect.poll(() => heard).toEqual(["any"]); // it listens
  await own.kill();
  heard.length = 0;
  expect(await thrownBy(() => store.active("acme", "data"))).toBeKmsError("STORE_UNAVAILABLE");
  expect(await thrownBy(() => store.insertPending({ ...record, keyId: "00" }))).toBeKmsError("STORE_UNAVAILABLE");
  await own.restart();
  expect(await store.active("acme", "data")).toEqual(record);
  await expect.poll(() => heard).toEqual(["any"]);
  await store.close();
  await own.close();
});
