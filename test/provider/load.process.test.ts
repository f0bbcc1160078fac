/** Many callers at once who find their key in no cache: what reaches AWS KMS (the fake) of it. */
import { randomBytes } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { wholeKeyring } from "../support/whole-keyring.ts";
import { dependable } from "../../src/provider/failover.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { realTime } from "../../src/runtime/time.ts";
import { type FakeKey, startAwsKms } from "../fakes/aws-kms.ts";
import { openBlob, sealBlob } from "../fakes/aws-kms-keys.ts";
import { openOn, useCredentials } from "../support/aws-fixture.ts";

useCredentials();

/** No call is late, however slow the machine is. */
const patience = { time: realTime, attemptTimeoutMs: 3_600_000, totalTimeoutMs: 3_600_000 };

/** A store whose tenants have a data key each, and a keyring that has not met them, on a fake that answers nothing until it is released. */
async function cold(tenants: number) {
  const { advance, sleep } = manualTime();
  const fake = await startAwsKms({ region: "eu-west-1", time: { now: realTime.now, sleep } });
  const key = fake.createKey();
  const provider = dependable(await openOn([fake], key.arn), patience);
  onTestFinished(async () => {
    await provider.close();
    await fake.close();
  });
  const store = memoryStore(realTime);
  const tenantIds = Array.from({ length: tenants }, (_, index) => `tenant-${index}`);
  const before = wholeKeyring({ store, provider: atOnce(provider, key), maxEntries: tenants, time: realTime });
  const keyIds = await Promise.all(tenantIds.map(async (tenantId) => (await before.activeDataKey(tenantId)).keyId));
  before.close();
  const keyring = wholeKeyring({ store, provider, maxEntries: tenants, time: realTime });
  onTestFinished(() => keyring.close());
  await fake.fault({ latencyMs: 1 });
  /** Has the fake answer what it was asked, and from now on at once. */
  async function release(): Promise<void> {
    await fake.fault({ latencyMs: 0 });
    await advance(1);
  }
  return { fake, release, keyring, tenantIds, keyIds, logged: fake.log.length };
}

/** The provider as it would answer, without the way there, to fill a store with. */
function atOnce(provider: Provider, key: FakeKey): Provider {
  return {
    ...provider,
    async generateDataKey(context) {
      const plaintext = randomBytes(32);
      return { plaintext, wrapped: sealBlob(key, plaintext, context) };
    },
    decrypt: async (wrapped, context) => openBlob(key.materials[0]!, wrapped, context),
  };
}

function report(what: string, calls: number, mostInFlight: number): void {
  console.log(`${what.padEnd(44)} ${String(calls).padStart(5)} provider calls, ${mostInFlight} at once`);
}

it("is one call for 10,000 callers of one key, to encrypt and to decrypt", async () => {
  const { fake, release, keyring, tenantIds, keyIds } = await cold(1);
  const calls = Array.from({ length: 5_000 }, () => [
    keyring.activeDataKey(tenantIds[0]!),
    keyring.dataKey(tenantIds[0]!, keyIds[0]!),
  ]);
  await fake.until(() => fake.inFlight === 1);
  await release();
  const keys = await Promise.all(calls.flat());
  report("10,000 callers, one key", fake.calls.Decrypt!, fake.mostInFlight);
  expect(new Set(keys).size).toBe(1);
  expect(fake.calls.Decrypt!).toBe(1);
});

it("is one call a key for 10,000 callers of 2,000 keys, 20 at once at most", async () => {
  const { fake, release, keyring, tenantIds, keyIds, logged } = await cold(2_000);
  const calls = Array.from({ length: 10_000 }, (_, turn) => {
    const at = turn % 2_000;
    return turn % 2 === 0 ? keyring.activeDataKey(tenantIds[at]!) : keyring.dataKey(tenantIds[at]!, keyIds[at]!);
  });
  await fake.until(() => fake.inFlight === 20);
  await release();
  const keys = await Promise.all(calls);
  report("10,000 callers, 2,000 keys", fake.calls.Decrypt!, fake.mostInFlight);
  expect(new Set(keys.map(({ keyId }) => keyId))).toEqual(new Set(keyIds));
  expect(fake.calls.Decrypt!).toBe(2_000);
  const asked = fake.log.slice(logged).map(({ operation, context }) => `${operation} ${context.key_id}`);
  expect(new Set(asked).size).toBe(2_000);
  expect(fake.mostInFlight).toBe(20);
});
