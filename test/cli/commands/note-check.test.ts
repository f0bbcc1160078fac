/** What the store notes of backups and checks, by commands beside a service and without one. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { NotedWork } from "../../../src/store/lease-store.ts";
import { postRpc } from "../../support/api-fixture.ts";
import { inStore, liveIn, type Place, place, placesOn, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { fromNow } from "../../support/from-now.ts";
import { startService } from "../../support/running-service.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds = placesOn(() => server);

/** The same place, of which a backup is expected every hour. */
function hourly(where: Place): Place {
  where.env.FLUO_KMS_BACKUP_INTERVAL = "1h";
  return where;
}

const notedAt = (where: Place, work: NotedWork) => inStore(where, ({ store }) => store.leaseFinishedAt(work));

/** A report of `check` in a file, as somebody may have changed it. */
function report(where: Place, text: string, changes: object = {}): string {
  const file = join(where.directory, "report.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(text), ...changes }));
  return file;
}

async function makeKey(url: string, tenantId: string): Promise<number> {
  return (await postRpc(url, "GenerateDataKey", { tenantId })).status;
}

describe.each(kinds)("beside a service on %s", (_, make) => {
  it("a backup is noted, and so is a check of the copy that it was restored to", async () => {
    const where = hourly(await make());
    const service = await startService(where.env);
    expect(await makeKey(service.url, "acme")).toBe(200);
    const beganAt = Date.now();
    const backup = await where.run("backup", "b.db");
    expect(backup).toMatchObject({ code: 0, err: "" });
    expect(backup.out).toMatch(/^noted in the store$/m);

    const copy = place(where.directory, { name: "sqlite", file: join(where.directory, "copy.db") });
    expect((await copy.run("restore", "b.db")).code).toBe(0);
    const drill = await copy.run("check");
    expect(drill.code).toBe(0);
    const checkedAt = JSON.parse(drill.out).checked_at;
    const file = report(where, drill.out);
    expect(await where.run("note-check", file)).toEqual({
      code: 0,
      out: `noted: the check of ${checkedAt}\n`,
      err: "",
    });

    expect(await makeKey(service.url, "acme")).toBe(200);
    expect(await makeKey(service.url, "globex")).toBe(200);
    expect((await where.json("check")).answer).toMatchObject({ ok: true, problems: [] });
    await service.stop();
    const backupAt = (await notedAt(where, "backup"))!.getTime();
    expect(backupAt).toBeGreaterThanOrEqual(beganAt);
    expect(backupAt).toBeLessThanOrEqual(Date.parse(checkedAt));
    expect(await notedAt(where, "check")).toEqual(new Date(checkedAt));
    expect(await notedAt(copy, "check")).toBeUndefined();
  });
});

describe("a backup", () => {
  it("is noted in JSON too, by its latest", async () => {
    const where = hourly(sqlitePlace());
    await liveIn(where);
    expect((await where.json("backup", "1.db")).answer).toMatchObject({ noted: true });
    const first = (await notedAt(where, "backup"))!;
    expect((await where.json("backup", "2.db")).answer).toMatchObject({ noted: true });
    expect((await notedAt(where, "backup"))!.getTime()).toBeGreaterThan(first.getTime());
  });

  it("is not noted unless one is expected: then the provider is not needed", async () => {
    const where = sqlitePlace();
    await liveIn(where);
    renameSync(where.masterKeyFile, `${where.masterKeyFile}.away`);
    const leases = await sql(where, "select name from kms_leases");
    const { code, out, err } = await where.run("backup", "b.db", "--json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({ noted: false });
    expect(await sql(where, "select name from kms_leases")).toEqual(leases);
  });

  const fourMinutesMs = 4 * 60_000;
  const hindrances: [what: string, hinder: (where: Place) => unknown, why: string][] = [
    ["the provider", ({ masterKeyFile: file }) => renameSync(file, `${file}.away`), "there is no master key at "],
    [
      "another that notes one",
      (where) => inStore(where, ({ store }) => store.lease("backup", "another", fourMinutesMs)),
      "another process makes or notes a backup now: try again",
    ],
    [
      "a note that somebody altered",
      async (where) => {
        await where.run("backup", "first.db");
        await sql(where, "update kms_leases set finished_at = 1 where name = 'backup'");
      },
      "the lease backup ",
    ],
  ];
  it.each(hindrances)(
    "is made without being noted where %s is in the way, which is a warning",
    async (_, hinder, why) => {
      const where = hourly(sqlitePlace());
      await liveIn(where);
      await hinder(where);
      const { code, out, err } = await where.run("backup", "b.db");
      expect(code).toBe(0);
      expect(out).not.toContain("noted");
      expect(err).toContain(`warning: the backup was made, and is not noted in the store: ${why}`);
      expect(err.trimEnd().split("\n")).toHaveLength(1);
      expect(existsSync(join(where.directory, "b.db"))).toBe(true);
    },
  );

  it("that fails is not noted", async () => {
    const where = hourly(sqlitePlace());
    await liveIn(where);
    expect((await where.run("backup", join("none", "b.db"))).code).toBe(1);
    expect(await notedAt(where, "backup")).toBeUndefined();
  });
});

describe("note-check", () => {
  const checked = async () => {
    const where = sqlitePlace();
    await liveIn(where);
    return { where, text: (await where.run("check")).out };
  };

  it("leaves a later check, and says so", async () => {
    const { where, text } = await checked();
    const later = fromNow(-1_000).toISOString();
    expect((await where.run("note-check", report(where, text, { checked_at: later }), "--json")).out).toBe(
      `${JSON.stringify({ noted_at: later }, undefined, 2)}\n`,
    );
    const earlier = fromNow(-100_000).toISOString();
    expect(await where.run("note-check", report(where, text, { checked_at: earlier }))).toEqual({
      code: 0,
      out: `a later check was noted before, of ${later}\n`,
      err: "",
    });
    expect(await notedAt(where, "check")).toEqual(new Date(later));
  });

  it("takes the place of a time that is still to come, which a wrong clock noted", async () => {
    const { where, text } = await checked();
    await inStore(where, async ({ store }) => {
      const { generation } = await store.lease("check", "a wrong clock", 1_000);
      await store.finishLease({ name: "check", generation: generation! }, fromNow(86_400_000));
    });
    expect((await where.run("note-check", report(where, text))).code).toBe(0);
    expect(await notedAt(where, "check")).toEqual(new Date(JSON.parse(text).checked_at));
  });

  it.each([
    ["a check that found problems", { ok: false }, 1, /found problems, so it is not noted$/],
    ["a check without a verdict", { ok: undefined }, 1, /found problems, so it is not noted$/],
    [
      "a check of another store",
      { store_id: "00" },
      1,
      /^fluo-kms: the SQLite store .* is [0-9a-f]{32}, and the check was one of 00$/,
    ],
    [
      "a check that is still to come",
      { checked_at: "2999-01-01T00:00:00.000Z" },
      1,
      /2999-01-01T00:00:00.000Z, which is still to come: set the clocks$/,
    ],
    [
      "a report of an earlier version",
      { checked_at: undefined },
      2,
      /is not what fluo-kms check printed as JSON: checked_at must be text$/,
    ],
    [
      "a time that is none",
      { checked_at: "soon" },
      2,
      /is not what fluo-kms check printed as JSON: checked_at must be a time$/,
    ],
  ])("refuses %s", async (_, changes, expected, says) => {
    const { where, text } = await checked();
    const { code, out, err } = await where.run("note-check", report(where, text, changes));
    expect({ code, out }).toEqual({ code: expected, out: "" });
    expect(err.split("\n")[0]).toMatch(says);
    expect(await notedAt(where, "check")).toBeUndefined();
  });

  it("refuses a file that is no report, or is not there", async () => {
    const { where, text } = await checked();
    const cut = join(where.directory, "cut.json");
    writeFileSync(cut, text.slice(0, text.length / 2));
    expect(await where.run("note-check", cut)).toMatchObject({ code: 2, err: expect.stringContaining("is not what") });
    expect(await where.run("note-check", join(where.directory, "none"))).toMatchObject({
      code: 2,
      err: expect.stringContaining("cannot be read (ENOENT)"),
    });
  });

  it("refuses where there is no store, and makes none", async () => {
    const { where, text } = await checked();
    const file = report(where, text);
    const other = where.with({ name: "sqlite", file: join(where.directory, "none.db") });
    const { code, err } = await other.run("note-check", file);
    expect(code).toBe(1);
    expect(err).toMatch(/^fluo-kms: there is no SQLite store at /);
    expect(existsSync(join(where.directory, "none.db"))).toBe(false);
    expect((await where.with({ name: "memory" }).run("note-check", file)).code).toBe(2);
  });

  it("needs the provider key that opens the store", async () => {
    const { where, text } = await checked();
    writeFileSync(where.masterKeyFile, new Uint8Array(32), { mode: 0o600 });
    const { code, err } = await where.run("note-check", report(where, text));
    expect(code).toBe(1);
    expect(err).toMatch(/^fluo-kms: .*local:/);
    expect(readFileSync(where.masterKeyFile)).toEqual(Buffer.alloc(32));
  });
});
