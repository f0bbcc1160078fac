import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { steps } from "../../../src/failpoints.ts";
import { sqliteDialect } from "../../../src/store/sqlite/embedded.ts";
import { laterColumns, migrations, tables } from "../../../src/store/sql/rows/schema.ts";
import { directory } from "../../support/config-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import {
  inStore,
  liveIn,
  type Place,
  place,
  placesOn,
  postgresPlace,
  sql,
  sqlitePlace,
} from "../../support/cli-store-fixture.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds = placesOn(() => server);

/** The rows of a table as text, whatever the database; of the audit trail in order, without their ids. */
async function rowsOf(where: Place, table: keyof typeof tables, condition = "1 = 1"): Promise<string[]> {
  const order = table === "kms_audit" ? "id" : tables[table].slice(0, 3).join(", ");
  const rows = await sql(where, `select * from ${table} where ${condition} order by ${order}`);
  return rows.map((row) =>
    tables[table]
      .map((column) => {
        const value = row[column];
        return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
      })
      .join(" "),
  );
}

const backupOf = (where: Place, name: string) => where.with({ name: "sqlite", file: join(where.directory, name) });

describe.each(kinds)("backup of a %s store", (_, make) => {
  it("is every row but PENDING keys and leases, in one file that only its owner reads", async () => {
    const from = await make();
    await liveIn(from);
    const { code, out, err } = await from.run("backup", "b.db");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^backed up to .*b\.db$/m);
    expect(out).toMatch(/^ {2}data keys +.*\b1 DISABLED/m);
    expect(out).toMatch(/^ {2}request ids +1 of rotations, 0 of batches$/m);
    const backup = backupOf(from, "b.db");
    for (const table of ["kms_store", "kms_requests", "kms_audit_writers", "kms_audit"] as const) {
      expect(await rowsOf(backup, table), table).toEqual(await rowsOf(from, table));
    }
    expect(await rowsOf(backup, "kms_keys")).toEqual(await rowsOf(from, "kms_keys", "state <> 'PENDING'"));
    expect(await rowsOf(backup, "kms_leases")).toEqual([]);
    expect(statSync(join(from.directory, "b.db")).mode & 0o777).toBe(0o600);
    expect(readdirSync(from.directory).filter((name) => /b\.db|\.new/.test(name))).toEqual(["b.db"]);
    expect((await backup.json("check")).answer).toMatchObject({ ok: true, problems: [] });
  });

  it("has the id of its original, and so has what is restored from it", async () => {
    const from = await make();
    await liveIn(from);
    const id = (await sql(from, "select store_id from kms_store")).map(({ store_id }) => String(store_id)).join();
    expect((await from.json("backup", "b.db")).answer).toMatchObject({ store_id: id });
    const into = from.with({ name: "sqlite", file: join(from.directory, "new.db") });
    expect((await into.json("restore", "b.db")).answer).toMatchObject({ store_id: id });
    expect((await into.json("check")).answer).toMatchObject({ store_id: id });
  });

  it("restores into an empty store, says what came back, and appends that to the audit trail", async () => {
    const from = await make();
    const keys = await liveIn(from);
    await from.run("backup", "b.db");
    const into = from.with({ name: "sqlite", file: join(from.directory, "new.db") });
    const { code, out, err } = await into.run("restore", "b.db");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const [tenant, state] of [
      ["disabled", "DISABLED"],
      ["compromised", "COMPROMISED"],
      ["destroyed", "DESTROYED"],
    ] as const) {
      expect(out).toMatch(new RegExp(`^ {2}${tenant} +data +v1 +${keys[tenant]!.keyId} +${state}$`, "m"));
    }
    const destroyAt = keys.overdue!.destroyAt!.toISOString();
    expect(out).toMatch(
      new RegExp(
        `^ {2}overdue .* DESTROY_SCHEDULED +at ${destroyAt}, which has passed: a service destroys it once it saw its days pass$`,
        "m",
      ),
    );
    expect(out).toContain("warning: Keys that were destroyed after the backup was made are back");
    await inStore(into, async ({ store, keyring }) => {
      const events = await store.auditEvents({ limit: 1000 });
      expect(events.at(-1)).toMatchObject({ action: "restore", actor: "command line", outcome: "OK" });
      expect((await keyring.activeDataKey("active")).keyId).toBe(keys.active!.keyId);
      expect(await store.request("retired", "once")).toBeDefined();
      expect((await store.lease("rotation/2", "other", 1_000)).generation).toBe(1);
    });
    expect((await into.json("check")).answer).toMatchObject({ ok: true });
  });

  it("restores into nothing but an empty store, and says what is there", async () => {
    const from = await make();
    await liveIn(from);
    await from.run("backup", "b.db");
    const before = await rowsOf(from, "kms_audit");
    const { code, out, err } = await from.run("restore", "b.db");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(
      /^fluo-kms: .* is not empty, it has a store key of .*, \d+ keys of 7 tenants, an audit trail, .*$/m,
    );
    expect(err).not.toContain("postgres://");
    expect(await rowsOf(from, "kms_audit")).toEqual(before);
  });
});

it.each([1, 5])("restores a backup of schema version %i, which stays as it is", async (version) => {
  const from = sqlitePlace();
  const { overdue, destroyed } = await liveIn(from);
  const by = { actor: "ann", requestId: "", at: new Date() };
  await inStore(from, async ({ store }) => {
    // No destruction of an earlier version has a wait.
    await store.update(overdue!, { ...overdue!, destroyWait: undefined }, { ...by, action: "schedule_destruction" });
    await store.update(destroyed!, { ...destroyed!, destroyWait: undefined }, { ...by, action: "destroy" });
  });
  await from.run("backup", "new.db");
  const old = new DatabaseSync(join(from.directory, "old.db"));
  for (const statement of migrations.slice(0, version).flatMap((each) => each(sqliteDialect))) old.exec(statement);
  old.exec(`create table kms_schema (version integer not null) strict; insert into kms_schema values (${version})`);
  old.exec(`attach '${join(from.directory, "new.db")}' as new`);
  const later: readonly string[] = Object.values(laterColumns).flat();
  const younger = /^kms_(log|commits$|time$)/;
  for (const [table, all] of Object.entries(tables).filter(([name]) => !younger.test(name))) {
    const columns = all.filter((column) => !later.includes(column)).join(", ");
    old.exec(`insert into ${table} (${columns}) select ${columns} from new.${table}`);
  }
  old.close();
  const before = readFileSync(join(from.directory, "old.db"));
  const into = backupOf(from, "restored.db");
  expect(await into.run("restore", "old.db")).toMatchObject({ code: 0, err: "" });
  expect(await rowsOf(into, "kms_keys")).toEqual(await rowsOf(from, "kms_keys", "state <> 'PENDING'"));
  expect(readFileSync(join(from.directory, "old.db"))).toEqual(before);
});

it("rows go from SQLite to PostgreSQL and back as they are", async () => {
  const first = sqlitePlace();
  await liveIn(first);
  await inStore(first, async ({ store }) => {
    const present = (await store.active("active", "data"))!;
    const request = { at: new Date(), rule: "ops", days: 7 };
    const next = { ...present, destruction: { by: "ann", request, confirmedBy: undefined } };
    await store.update(present, next, {
      actor: "ann",
      requestId: "",
      rule: "ops",
      action: "request_destruction",
      at: new Date(),
    });
  });
  await first.run("backup", "1.db");
  const second = first.with({ name: "postgres", url: await server.createDatabase(), maxConnections: 2 });
  expect((await second.run("restore", "1.db")).code).toBe(0);
  expect((await second.json("check")).answer).toMatchObject({ ok: true, store: "postgres" });
  await second.run("backup", "2.db");
  const third = first.with({ name: "sqlite", file: join(first.directory, "third.db") });
  expect((await third.run("restore", "2.db")).code).toBe(0);
  expect((await third.json("check")).answer).toMatchObject({ ok: true });

  for (const table of ["kms_keys", "kms_requests"] as const) {
    const rows = await rowsOf(first, table, table === "kms_keys" ? "state <> 'PENDING'" : "1 = 1");
    expect(rows.length).toBeGreaterThan(0);
    for (const later of [second, third]) expect(await rowsOf(later, table)).toEqual(rows);
    if (table === "kms_keys") expect(rows.filter((row) => / ann null ops \d+ 7 /.test(row))).toHaveLength(1);
  }
  const trails = await Promise.all([first, second, third].map((each) => rowsOf(each, "kms_audit")));
  expect(trails.map((trail) => trail.length - trails[0]!.length)).toEqual([0, 1, 2]); // a row for each restore
  expect(trails[1]!.slice(0, -1)).toEqual(trails[0]);
  expect(trails[2]!.slice(0, -1)).toEqual(trails[1]);
});

describe("backup refuses", () => {
  it("a database that is another's", async () => {
    const from = await postgresPlace(server);
    const { code, err } = await from.run("backup", "b.db");
    expect(code).toBe(1);
    expect(err).toBe("fluo-kms: the postgres database holds no store of fluo-kms; name one that a service has used\n");
  });

  it("the store in memory, which is a matter of settings", async () => {
    const { code, out, err } = await sqlitePlace().with({ name: "memory" }).run("backup", "b.db");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^fluo\.kms\.store: is memory, /);
  });

  it.each([
    ["a server that is not there", "postgres://kms:hunter2@127.0.0.1:1/kms", /\(ECONNREFUSED\): see that the server/],
    [
      "a wrong password",
      undefined,
      /\(28P01\): see that the user in fluo\.kms\.postgres\.url and the password, there or in .*, are right$/,
    ],
  ])("%s, without showing the URL", async (_, given, expected) => {
    const url = given ?? (await server.createDatabase()).replace(/:[^:@]*@/, ":hunter2@");
    const from = place(directory(), { name: "postgres", url, maxConnections: 1 });
    writeFileSync(from.masterKeyFile, new Uint8Array(32), { mode: 0o600 });
    for (const args of [["backup", "b.db"], ["check"], ["check", "--json"], ["serve"]]) {
      const { code, out, err } = await from.run(...args);
      expect(code).toBe(1);
      expect(out + err).not.toMatch(/hunter2|127\.0\.0\.1/);
      if (args.length === 1 || args[0] === "backup") expect(err.trimEnd()).toMatch(expected);
    }
  });
});

describe("restore refuses, and writes nothing,", () => {
  const backedUp = async () => {
    const from = sqlitePlace();
    const keys = await liveIn(from);
    await from.run("backup", "b.db");
    return {
      keys,
      backup: backupOf(from, "b.db"),
      into: from.with({ name: "sqlite", file: join(from.directory, "new.db") }),
    };
  };

  it("a backup with a bit flipped in a row that an index covers, whichever of the two it is in", async () => {
    const from = sqlitePlace();
    await liveIn(from);
    expect((await from.run("backup", "b.db")).code).toBe(0);
    const whole = readFileSync(join(from.directory, "b.db"));
    const [row] = await sql(backupOf(from, "b.db"), "select writer_id from kms_audit limit 1");
    const positions: number[] = [];
    for (let at = 0; at >= 0; at = whole.indexOf(String(row!.writer_id), at + 1)) positions.push(at);
    const texts: string[] = [];
    for (const at of positions.slice(1).filter((_, index) => index % 8 === 0)) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1;
      writeFileSync(join(from.directory, "flipped.db"), bytes);
      const to = from.with({ name: "sqlite", file: join(from.directory, `to-${at}.db`) });
      const { code, err } = await to.run("restore", "flipped.db");
      if (code === 0) {
        expect({ at, problems: (await to.json("check")).answer.problems }).toEqual({ at, problems: [] });
        continue; // no row had that bit
      }
      expect(err).toContain("nothing was restored");
      expect((await to.run("check")).err).toContain("has no store key yet");
      texts.push(err);
    }
    expect(texts.join("")).toContain("the backup reads otherwise by its tables than by its indexes");
    expect(texts.join("")).toMatch(/rows of the backup are not as they were written/);
  });

  it("to say that it is restored what the disk gives back with other bytes than it took", async () => {
    const { into } = await backedUp();
    const log = join(into.directory, "new.db-wal");
    let flips = 0;
    const flip = (step: unknown) => {
      const bytes = step === "sqlite.committed" && existsSync(log) ? readFileSync(log) : Buffer.alloc(0);
      const at = bytes.lastIndexOf("restored-here");
      if (at < 0) return;
      bytes[at]! ^= 1;
      writeFileSync(log, bytes);
      flips += 1;
    };
    await inStore(into.with({ name: "sqlite", file: join(into.directory, "more.db") }), async ({ keyring }) =>
      keyring.activeDataKey("restored-here"),
    );
    await into.with({ name: "sqlite", file: join(into.directory, "more.db") }).run("backup", "more-backup.db");
    steps.subscribe(flip);
    onTestFinished(() => void steps.unsubscribe(flip));
    const { code, out, err } = await into.run("restore", "more-backup.db");
    expect({ code, out, flips }).toEqual({ code: 1, out: "", flips: 1 });
    expect(err).toMatch(
      /^fluo-kms: the restored store does not read as it was written \(.*\): do not use it, see to its disk/,
    );
  });

  it("brings back what the trail misses, with a warning", async () => {
    const { keys, backup, into } = await backedUp();
    await sql(backup, "delete from kms_keys where key_id = ?1", keys.active!.keyId);
    const { code, out } = await into.run("restore", "b.db");
    expect(code).toBe(0);
    expect(out).toContain(
      `warning: in the backup: record_missing: tenant active, data, key ${keys.active!.keyId}: the record is gone`,
    );
  });
});
