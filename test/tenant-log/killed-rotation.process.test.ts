/** A service that is killed while it rotates the signing key of a tenant with a log: key and log say the same, whichever step it dies at. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { inStore, type Place, sqlitePlace } from "../support/cli-store-fixture.ts";
import { filledLog } from "../support/filled-log.ts";
import { startProcess } from "../support/service-process.ts";

const killAt = join(import.meta.dirname, "..", "crash", "kill-at.ts");
const tenantId = "acme";
const entries = 5;

/** What a store has of a tenant whose key was rotated so many times. */
async function rotations(where: Place): Promise<number> {
  return inStore(where, async ({ store }) => {
    const [keys, handovers, head] = await Promise.all([
      store.list(tenantId, "signing"),
      store.logHandovers(tenantId),
      store.logHead(tenantId),
    ]);
    const ids = keys.map(({ keyId }) => keyId);
    expect(handovers.map(({ fromKeyId, toKeyId, index }) => [fromKeyId, toKeyId, index])).toEqual(
      ids.slice(1).map((id, at) => [ids[at], id, entries + at]),
    );
    expect(handovers.every(({ proof }) => proof !== "")).toBe(true);
    expect(head?.size).toBe(entries + handovers.length);
    expect(keys.at(-1)?.state).toBe("ACTIVE");
    return handovers.length;
  });
}

const rotate = { tenantId, purpose: KeyPurpose.SIGNING, force: true };

// The second transaction is the activation, unless one of the background comes between.
it.each([
  ["key.proven", 1, 0],
  ["sqlite.written", 2, undefined],
  ["sqlite.committed", 2, undefined],
  ["key.activated", 1, 1],
])("at %s, number %i", async (step, nth, made) => {
  const where = sqlitePlace();
  await inStore(where, async ({ store, keyring }) => {
    await keyring.activeSigningKey(tenantId);
    await filledLog(store, entries, { tenantId });
  });
  const armedBy = join(where.directory, "armed");
  const env = { ...where.env, FLUO_CRASH_AT: `${step}:${nth}`, FLUO_CRASH_ARMED_BY: armedBy };
  const dying = await startProcess(env, { preload: [killAt] });
  writeFileSync(armedBy, "");
  await dying.client.rotate(rotate).catch(() => {});
  expect((await dying.ended).err).toContain(`killed at ${step}`);
  const before = await rotations(where);
  expect(made ?? before).toBe(before);

  const after = await startProcess(where.env);
  expect((await after.client.rotate(rotate)).rotated).toHaveLength(1);
  expect(await after.end()).toBe(0);
  expect(await rotations(where)).toBe(before + 1);
});
