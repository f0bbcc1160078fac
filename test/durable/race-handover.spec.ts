/** Three replicas on one PostgreSQL rotate one signing key at once and sign batches: the tenant's log names only keys that came into use. */
import { createSecretKey, randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { expectChainAfterRace } from "../support/handover-race.ts";
import { postgresAvailable } from "../support/postgres-cluster.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { firstOfEach } from "../support/short.ts";
import { postgresBackdoor, unlocked } from "../support/store-fixture.ts";
import { replicas } from "../support/tenant-log-fixture.ts";

const replicaCount = 3;
const rounds = 100;

describe.skipIf(!process.env.CI && !postgresAvailable())("a signing key that three replicas rotate at once", () => {
  const started = replicas();
  let server: SharedPostgres;
  let stores: Store[] = [];

  beforeAll(async () => {
    server = await sharedPostgres();
  });

  afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));
  afterAll(() => server.close());

  async function openStores(): Promise<Store[]> {
    const door = await postgresBackdoor(server);
    const key = createSecretKey(randomBytes(32));
    const opened = [await unlocked(await door.open(), key)];
    while (opened.length < replicaCount) opened.push(await (await door.open()).unlock(key));
    return opened;
  }

  it.each(firstOfEach([1, 2, 3]))(`is handed over ${rounds} times to keys that came into use (%i)`, async () => {
    stores = await openStores();
    await expectChainAfterRace(started, { stores, rounds });
  });
});
