import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdReady } from "../../../src/store/sqlite/ready-log.ts";
import { judgeWal } from "../../../src/store/sqlite/wal/verdict.ts";
import { inStore } from "../../support/cli-store-fixture.ts";
import { type CrashedStore, crashedStore, damageEnd, damageLog, note } from "../../support/crashed-store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { flip, framesOf, inFrame } from "../../support/wal-files.ts";
import { accept, acceptancesIn, at, digestOf, tenantsIn } from "./lost-log-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

let made: CrashedStore;
beforeAll(async () => {
  made = await crashedStore();
});
afterAll(() => made[Symbol.dispose]());

/** A log of which a first part was moved into the database, and not begun anew since. */
async function partlyCheckpointed(): Promise<CrashedStore> {
  const store = made.copy();
  return inStore(store.where, async ({ keyring }) => {
    await keyring.activeDataKey("moved-1");
    await keyring.activeDataKey("moved-2");
    const reader = new DatabaseSync(store.file);
    reader.exec("begin; select * from kms_store");
    const other = new DatabaseSync(store.file);
    other.exec("pragma wal_checkpoint(passive)");
    await keyring.activeDataKey("in-log-1");
    await keyring.activeDataKey("in-log-2");
    const left = store.copy();
    reader.exec("commit");
    other.close();
    reader.close();
    return left;
  });
}

describe("a log that lost", () => {
  it("is accepted without its end, and kept with its database as it was", async () => {
    const store = made.copy();
    damageLog(store.file);
    const before = store.bytes();
    const digest = digestOf(store.file);
    const accepted = await accept(store);
    expect(accepted).toEqual({ kept: `${store.file}.lost-20261128T100000123Z` });
    expect(["", "-wal"].map((end) => readFileSync(accepted!.kept + end))).toEqual(before);
    expect(judgeWal(store.file)).toEqual({ kind: "whole" });
    expect(readdirSync(dirname(store.file)).sort()).toEqual(
      [
        "kms.db",
        `kms.db-wal.kept-${digest.slice(0, 16)}`,
        "kms.db.lock",
        "kms.db.lost-20261128T100000123Z",
        "kms.db.lost-20261128T100000123Z-wal",
        "kms.db.opening.lock",
        "master.key",
      ].sort(),
    );
    expect(acceptancesIn(store.file)).toEqual([{ detail: digest, actor: "command line", at: at.getTime() }]);
    const tenants = tenantsIn(store.file);
    expect(tenants).toContain("early-2");
    expect(tenants).not.toContain("late-4");
    await inStore(store.where, async ({ keyring }) => {
      expect((await keyring.activeDataKey("early-1")).keyId).toMatch(/^[0-9a-f]{32}$/);
    });
  });

  it("is accepted, too, where it only lacks commits that were noted", async () => {
    const store = made.copy();
    damageEnd(store.file);
    note(store.file, 1_000);
    const digest = digestOf(store.file);
    await accept(store, digest);
    expect(acceptancesIn(store.file)).toMatchObject([{ detail: digest }]);
    expect(judgeWal(store.file)).toEqual({ kind: "whole" });
  });

  it("is not accepted by the digest of another damage", async () => {
    const [store, other] = [made.copy(), made.copy()];
    damageLog(store.file);
    flip(`${other.file}-wal`, inFrame(2, 300));
    const before = store.bytes();
    const error = await thrownBy(() => accept(store, digestOf(other.file)));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "digest: is of another damage");
    expect(store.bytes()).toEqual(before);
    expect(existsSync(`${store.file}.lost-20261128T100000123Z`)).toBe(false);
  });

  it("is not accepted while the store is in use", async () => {
    const store = made.copy();
    damageLog(store.file);
    const digest = digestOf(store.file);
    const user = made.copy();
    const hold = holdReady(user, realTime);
    damageLog(user.file);
    expect(await thrownBy(() => accept(user, digest))).toBeKmsError("STORE_UNAVAILABLE", "is in use");
    hold.release();
  });
});

it("an acceptance that was begun cannot be ended where nobody can read what it was", async () => {
  const store = made.copy();
  writeFileSync(`${store.file}.accepting`, "half");
  expect(await thrownBy(async () => holdReady(store, realTime))).toBeKmsError(
    "DATA_LOSS",
    "not ended: restore the store",
  );
  expect(await thrownBy(() => accept(store, "00".repeat(32)))).toBeKmsError("INVALID_ARGUMENT");
});

it("nothing is accepted of a log that is whole", async () => {
  const store = made.copy();
  const before = store.bytes();
  expect(await accept(store, "00".repeat(32))).toBeUndefined();
  expect(store.bytes()).toEqual(before);
});

describe("what is left is refused, with every byte as it was", () => {
  async function refusal(store: CrashedStore): Promise<string> {
    const before = store.bytes();
    const error = await thrownBy(() => accept(store));
    expect(error).toBeKmsError("DATA_LOSS", "restore it from a backup; both files are kept as");
    expect(store.bytes()).toEqual(before);
    expect(
      readdirSync(dirname(store.file))
        .filter((name) => name.includes("lost-"))
        .sort(),
    ).toEqual(["kms.db.lost-20261128T100000123Z", "kms.db.lost-20261128T100000123Z-wal"]);
    return (error as Error).message;
  }

  it("where the database has later commits: a prefix over them is a mixture", async () => {
    const store = await partlyCheckpointed();
    const { commits } = framesOf(store.file);
    flip(`${store.file}-wal`, inFrame(commits[1]!, 200));
    expect(judgeWal(store.file).kind).toBe("lost");
    expect(await refusal(store)).toContain("the database has later commits than the log");
  });

  it("where a row is not as it was written", async () => {
    const store = made.changed((db) => {
      db.exec("update kms_keys set state = 'DISABLED' where tenant_id = 'early-1' and state = 'ACTIVE'");
      for (let index = 0; index < 4; index += 1) db.exec(`pragma user_version = ${index + 2}`);
    });
    flip(`${store.file}-wal`, inFrame(framesOf(store.file).commits.at(-2)!, 200));
    expect(await refusal(store)).toMatch(/\d rows, the first: /);
  });

  it("where a page is damaged", async () => {
    const store = made.copy();
    const db = new DatabaseSync(store.file, { readOnly: true });
    const root = Number(
      db.prepare("select rootpage from sqlite_schema where name = 'kms_log_requests_at'").get()!.rootpage,
    );
    db.close();
    damageLog(store.file);
    flip(store.file, (root - 1) * 4096 + 3, 1); // its number of cells
    expect(await refusal(store)).toMatch(/its pages|damaged|rows/);
  });
});
