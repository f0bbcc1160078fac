/** Accepting what a log lost, killed at each of its steps. */
import { existsSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdReady } from "../../../src/store/sqlite/ready-log.ts";
import { run } from "../../support/cli-fixture.ts";
import { inStore } from "../../support/cli-store-fixture.ts";
import { type CrashedStore, crashedStore, damageLog } from "../../support/crashed-store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { accept, acceptancesIn, digestOf, tenantsIn } from "./lost-log-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

let made: CrashedStore;
beforeAll(async () => {
  made = await crashedStore();
});
afterAll(() => made[Symbol.dispose]());

const killAt = new URL("../../crash/kill-at.ts", import.meta.url);

describe("an acceptance that is killed", () => {
  /** Kills the command at a step, as often as it comes to it; gives what it wrote. */
  async function killedAt(step: string, { where }: CrashedStore, digest: string): Promise<string> {
    const env = { ...where.env, FLUO_CRASH_AT: step };
    const options = { env, cwd: where.directory, flags: [`--import=${killAt.href}`] };
    const { code, err } = await run(["accept-rollback", digest], options);
    expect(code).toBeNull();
    return err;
  }

  const steps = ["kept", "tried", "begun", "dropped", "told"].map((name) => `lost-log.${name}:1`);
  // Transactions of the command: in the copy, to bring the store up to date, and of the row.
  const commits = [1, 2, 3].flatMap((nth) => ["began", "written", "committed"].map((name) => `sqlite.${name}:${nth}`));

  it.each([...steps, ...commits])(
    "at %s keeps the store closed until the trail says what was accepted",
    async (step) => {
      const store = made.copy();
      damageLog(store.file);
      const digest = digestOf(store.file);
      expect(await killedAt(step, store, digest)).toContain(`killed at ${step.split(":")[0]}`);
      expect(await thrownBy(async () => holdReady(store, realTime))).toBeKmsError(
        "DATA_LOSS",
        `accept-rollback ${digest}`,
      );
      await killedAt("lost-log.told:1", store, digest); // ends what was begun, but for the last step
      expect(await thrownBy(async () => holdReady(store, realTime))).toBeKmsError(
        "DATA_LOSS",
        `accept-rollback ${digest}`,
      );
      expect(await thrownBy(() => accept(store, "00".repeat(32)))).toBeKmsError("INVALID_ARGUMENT", "another damage");
      expect(existsSync((await accept(store, digest))!.kept)).toBe(true);
      expect(acceptancesIn(store.file)).toMatchObject([{ detail: digest }]);
      expect(await accept(store, digest)).toBeUndefined();
      expect(tenantsIn(store.file)).toContain("early-2");
      holdReady(store, realTime).release();
    },
  );

  it("is of the database that it was begun for, and of no new one in its place", async () => {
    const store = made.copy();
    damageLog(store.file);
    await killedAt("lost-log.begun:1", store, digestOf(store.file));
    for (const end of ["", "-wal", "-shm"]) rmSync(store.file + end, { force: true });
    await inStore(store.where, async ({ keyring }) => {
      expect((await keyring.activeDataKey("new")).keyId).toMatch(/^[0-9a-f]{32}$/);
    });
    await inStore(store.where, async () => {});
  });
});
