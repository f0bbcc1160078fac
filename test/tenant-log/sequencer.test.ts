/** Places in a log: groups, replicas that race, batches that come again. */
import { describe, expect, it } from "vitest";
import { thrownBy } from "../support/matchers.ts";
import { spansFrom } from "../support/made-batches.ts";
import { disabling } from "../support/keys-fixture.ts";
import {
  type Appended,
  checkpointOf,
  isProven,
  issuer,
  leavesOf,
  type replica,
  replicas,
  storedLeaves,
  tenant,
} from "../support/tenant-log-fixture.ts";

const started = replicas();

type Replica = ReturnType<typeof replica>;

async function publicKeyOf({ keyring }: Replica): Promise<Uint8Array> {
  return (await keyring.activeSigningKey(tenant)).key.publicKey;
}

/** The leaves that were answered are the log's, each in its place and none twice. */
async function expectWhole({ store }: Replica, placed: readonly Appended[]): Promise<void> {
  const head = (await store.logHead(tenant))!;
  const stored = await storedLeaves(store, head.size);
  expect(stored).toHaveLength(head.size);
  const answered = new Map<number, string>();
  for (const { place, ...batch } of placed) {
    for (const [at, leaf] of leavesOf(batch).entries()) {
      answered.set(place.firstIndex + at, Buffer.from(leaf).toString("hex"));
    }
  }
  expect(Array.from({ length: head.size }, (_, index) => answered.get(index))).toEqual(stored);
}

describe("a tenant's log", () => {
  it("begins with its first batch, which also makes the key", async () => {
    const log = started();
    const first = await log.append(0, 3);
    expect(first.place.firstIndex).toBe(0);
    const checkpoint = checkpointOf(first.place.checkpoint, await publicKeyOf(log));
    expect(checkpoint).toMatchObject({ origin: `${issuer}/${tenant}`, size: 3 });
    expect(isProven(first, await publicKeyOf(log))).toBe(true);
    expect((await log.append(3, 4)).place.firstIndex).toBe(3);
    expect(await log.store.logHead(tenant)).toMatchObject({ number: 1, size: 4, state: "open" });
  });

  it("takes in what waits as one group, in order", async () => {
    const log = started();
    await log.append(0, 1);
    const placed = await Promise.all(Array.from({ length: 40 }, (_, n) => log.append(1 + n * 5, 6 + n * 5)));
    expect(placed.map(({ place }) => place.firstIndex)).toEqual(placed.map((_, n) => 1 + n * 5));
    expect(log.appends.length).toBeLessThan(40);
    expect(log.appends.reduce((sum, each) => sum + each)).toBe(201);
    const key = await publicKeyOf(log);
    for (const each of placed) expect(isProven(each, key)).toBe(true);
    const bySize = new Map(placed.map(({ place }) => [checkpointOf(place.checkpoint, key)!.size, place.checkpoint]));
    for (const { place } of placed)
      expect(bySize.get(checkpointOf(place.checkpoint, key)!.size)).toBe(place.checkpoint);
  });

  it("gives a batch of which no span is good a checkpoint, and grows by nothing", async () => {
    const log = started();
    await log.append(0, 2);
    const { place } = await log.append(0, 0, "", []);
    expect(place.firstIndex).toBe(2);
    expect(checkpointOf(place.checkpoint, await publicKeyOf(log))?.size).toBe(2);
  });

  it("is one and gapless, whatever two replicas do at once", async () => {
    const one = started();
    const first = await one.append(0, 1);
    const other = started({ store: one.store, provider: one.provider });
    const placed = await Promise.all(
      Array.from({ length: 60 }, (_, n) => (n % 2 ? one : other).append(1 + n * 3, 4 + n * 3)),
    );
    const key = await publicKeyOf(one);
    for (const each of placed) expect(isProven(each, key)).toBe(true);
    expect(one.appends.length).toBeGreaterThan(1);
    expect(other.appends.length).toBeGreaterThan(0);
    await expectWhole(one, [first, ...placed]);
  });

  it("takes nothing while the tenant's key is disabled", async () => {
    const log = started();
    await log.append(0, 2);
    const active = (await log.store.active(tenant, "signing"))!;
    await log.keyring.disable({ tenantId: tenant, keyId: active.keyId, by: disabling });
    expect(await thrownBy(() => log.append(2, 4))).toBeKmsError("KEY_UNUSABLE");
    expect((await log.store.logHead(tenant))?.size).toBe(2);
  });
});

describe("a batch that is stored", () => {
  it("has given back the memory of its leaves and entries", async () => {
    const { sequencer, enter } = started();
    const batch = await enter(0, 10);
    const memory = [batch.leaves.buffer, batch.entries.buffer];
    expect(memory.map(({ byteLength }) => byteLength > 0)).toEqual([true, true]);
    const placed = await sequencer.append(tenant, batch, async () => batch, { name: "ann", has: () => false });
    expect(memory.map(({ byteLength }) => byteLength)).toEqual([0, 0]);
    expect(placed.batch.spans).toBe(10);
  });
});

describe("a batch with a request id", () => {
  it("that comes again has the places, the statements and the time that it had, in a later checkpoint", async () => {
    const log = started();
    await log.append(0, 300);
    const first = await log.append(300, 310, "r1");
    log.time.ms += 5_000;
    await log.append(310, 700);
    const again = await log.append(300, 310, "r1");
    expect(again.place.firstIndex).toBe(first.place.firstIndex);
    expect(again.leaves).toEqual(first.leaves);
    const key = await publicKeyOf(log);
    expect(checkpointOf(again.place.checkpoint, key)?.size).toBe(700);
    expect(isProven(again, key)).toBe(true);
    expect((await log.store.logHead(tenant))?.size).toBe(700);
  });

  it("that comes twice at once is stored once", async () => {
    const log = started();
    const both = await Promise.all([log.append(0, 10, "r1"), log.append(0, 10, "r1"), log.append(10, 12)]);
    expect(both[1].place.firstIndex).toBe(both[0].place.firstIndex);
    expect((await log.store.logHead(tenant))?.size).toBe(12);
  });

  it("is refused with another body", async () => {
    const log = started();
    await log.append(0, 10, "r1");
    expect(await thrownBy(() => log.append(0, 11, "r1"))).toBeKmsError("REQUEST_ID_REUSED");
    expect(await thrownBy(() => log.append(0, 10, "r1", spansFrom(1, 11)))).toBeKmsError("REQUEST_ID_REUSED");
    expect((await log.store.logHead(tenant))?.size).toBe(10);
  });
});
