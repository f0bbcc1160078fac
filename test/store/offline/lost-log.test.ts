import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkLogs } from "../../../src/cli/check/every-log.ts";
import { unwrapStoreKey } from "../../../src/keys/store-key/unlock.ts";
import { providerKeys } from "../../../src/provider-keys/provider-keys.ts";
import { openProvider } from "../../../src/provider/registry.ts";
import { type Acceptance, acceptLostLog } from "../../../src/store/offline/lost-log.ts";
import { holdReady, logProblem } from "../../../src/store/sqlite/ready-log.ts";
import { judgeWal } from "../../../src/store/sqlite/wal/wal-verdict.ts";
import { run } from "../../support/cli-fixture.ts";
import { inStore } from "../../support/cli-store-fixture.ts";
import { type CrashedStore, crashedStore, damageEnd, damageLog, note } from "../../support/crashed-store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { flip, framesOf, inFrame } from "../../support/wal-files.ts";

let made: CrashedStore;
beforeAll(async () => {
  made = await crashedStore();
});
afterAll(() => made[Symbol.dispose]());

const killAt = new URL("../../crash/kill-at.ts", import.meta.url);
const at = new Date("2026-11-28T10:00:00.123Z");

function digestOf(file: string): string {
  return logProblem({ file })!.metadata.digest!;
}

/** Accepts the loss as the command does. */
async function accept({ file, where }: CrashedStore, digest = digestOf(file)) {
  const acceptance: Acceptance = {
    digest,
    actor: "command line",
    at,
    async keyOf(tables) {
      const [provider] = await openProvider({ name: "local", masterKeyFile: where.masterKeyFile });
      return unwrapStoreKey((await tables.storeKey())!, providerKeys({ current: provider }));
    },
    async checkLogs(tables, key, problem) {
      await checkLogs(tables, key, { problem, progress() {} });
    },
  };
  return acceptLostLog({ file }, acceptance);
}

function tenantsIn(file: string): string[] {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db
      .prepare("select distinct tenant_id from kms_keys order by 1")
      .all()
      .map((row) => String(row.tenant_id));
  } finally {
    db.close();
  }
}

/** What the audit trail says of accepted losses. */
function acceptancesIn(file: string) {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db.prepare("select detail, actor, at from kms_audit where action = 'accept_rollback'").all();
  } finally {
    db.close();
  }
}

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
    const hold = holdReady(user);
    damageLog(user.file);
    expect(await thrownBy(() => accept(user, digest))).toBeKmsError("STORE_UNAVAILABLE", "is in use");
    hold.release();
  });
});

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
      expect(await thrownBy(async () => holdReady(store))).toBeKmsError("DATA_LOSS", `accept-rollback ${digest}`);
      await killedAt("lost-log.told:1", store, digest); // ends what was begun, but for the last step
      expect(await thrownBy(async () => holdReady(store))).toBeKmsError("DATA_LOSS", `accept-rollback ${digest}`);
      expect(await thrownBy(() => accept(store, "00".repeat(32)))).toBeKmsError("INVALID_ARGUMENT", "another damage");
      expect(existsSync((await accept(store, digest))!.kept)).toBe(true);
      expect(acceptancesIn(store.file)).toMatchObject([{ detail: digest }]);
      expect(await accept(store, digest)).toBeUndefined();
      expect(tenantsIn(store.file)).toContain("early-2");
      holdReady(store).release();
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

  it("cannot be ended by anybody where nobody can read what it was", async () => {
    const store = made.copy();
    writeFileSync(`${store.file}.accepting`, "half");
    expect(await thrownBy(async () => holdReady(store))).toBeKmsError("DATA_LOSS", "not ended: restore the store");
    expect(await thrownBy(() => accept(store, "00".repeat(32)))).toBeKmsError("INVALID_ARGUMENT");
  });
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
