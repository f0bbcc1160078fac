/** Three replicas on one PostgreSQL rotate one signing key at once and sign batches: the tenant's log names only keys that came into use. */
import { createSecretKey, randomBytes } from "node:crypto";
import { afterEach, describe, it } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { expectChainAfterRace } from "../support/handover-race.ts";
import { firstOfEach } from "../support/short.ts";
import { postgresBackdoor, unlocked } from "../support/store-fixture.ts";
import { replicas } from "../support/tenant-log-fixture.ts";
import { serverOfFile } from "./services.ts";

const server = await serverOfFile();
const replicaCount = 3;
const rounds = 100;

describe.skipIf(server === undefined)("a signing key that three replicas rotate at once", () => {
  const started = replicas();
  let stores: Store[] = [];

  afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));

  async function openStores(): Promise<Store[]> {
    const door = await postgresBackdoor(server!);
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
