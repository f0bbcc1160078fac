/** `backup --directory`: dated files beside each other, of which the oldest go, whatever kills it and whoever else writes there. */
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openStore } from "../../../src/store/registry.ts";
import { resultOf, start } from "../../support/cli-fixture.ts";
import { inStore, liveIn, type Place, placesOn, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { realTime } from "../../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds = placesOn(() => server);
const [killAt, waitAt] = ["kill-at.ts", "wait-at.ts"].map((name) => join(import.meta.dirname, "../../crash", name));

/** A store with keys, and an empty directory `to` for its backups. */
async function filled(make = async () => sqlitePlace()): Promise<Filled> {
  const from = await make();
  await liveIn(from);
  const id = await inStore(from, async ({ store }) => (await store.storeKey()).storeId.slice(0, 8));
  return withEmpty({ ...from, to: join(from.directory, "to"), id });
}

type Filled = Place & { to: string; id: string };

function withEmpty(from: Filled): Filled {
  rmSync(from.to, { recursive: true, force: true });
  mkdirSync(from.to);
  return from;
}

/** Names of backups, the oldest first, without lock files. */
const backupsIn = (to: string) =>
  readdirSync(to)
    .filter((name) => !name.startsWith("."))
    .sort();
const draftsIn = (to: string) => readdirSync(to).filter((name) => name.endsWith(".new"));
/** Checks a copy: a command that opens a store leaves lock files beside it. */
async function opens(from: Place, file: string): Promise<boolean> {
  const copy = join(directory(), "copy.db");
  copyFileSync(file, copy);
  return (await from.with({ name: "sqlite", file: copy }).json("check")).answer.ok;
}

describe.each(kinds)("of a %s store", (_, make) => {
  it("names the file for the store and the time, and removes its oldest ones alone", async () => {
    const from = await filled(make);
    const others = [
      "notes.txt",
      "fluo-kms-00000000-20200101T000000000Z.db", // another store's
      `fluo-kms-${from.id}-20200101T000000000Z.db.gz`,
      `fluo-kms-${from.id}-20200101.db`,
      `a-fluo-kms-${from.id}-20200101T000000000Z.db`,
    ];
    for (const name of others) writeFileSync(join(from.to, name), "");
    mkdirSync(join(from.to, `fluo-kms-${from.id}-20200102T000000000Z.db`));
    symlinkSync(from.masterKeyFile, join(from.to, `fluo-kms-${from.id}-20200103T000000000Z.db`));
    const before = backupsIn(from.to);
    const own = () => backupsIn(from.to).filter((name) => !before.includes(name));

    const made: string[] = [];
    for (const removed of [0, 0, 1, 1]) {
      const { code, answer } = await from.json("backup", "--directory", "to", "--keep", "2");
      expect({ code, removed: (answer as unknown as { removed: number }).removed }).toEqual({ code: 0, removed });
      made.push(own().at(-1)!);
      expect(own()).toEqual(made.slice(-2));
    }
    expect(own().every((name) => new RegExp(`^fluo-kms-${from.id}-\\d{8}T\\d{9}Z\\.db$`).test(name))).toBe(true);
    expect(backupsIn(from.to).filter((name) => !own().includes(name))).toEqual(before);
    expect(await opens(from, join(from.to, made.at(-1)!))).toBe(true);
  });

  it("killed at any step it leaves the former ones or the new one, and the next removes what it left", async () => {
    const from = await filled(make);
    for (const step of ["backup.drafted", "backup.synced", "backup.named", "backup.settled", "backup.pruned"]) {
      withEmpty(from);
      await from.run("backup", "--directory", "to", "--keep", "1");
      const former = backupsIn(from.to);
      const killed = await resultOf(
        start(["backup", "--directory", "to", "--keep", "1"], {
          env: { ...from.env, FLUO_CRASH_AT: `${step}:1` },
          cwd: from.directory,
          flags: ["--import", killAt!],
        }),
      );
      expect(killed.err).toContain(`killed at ${step}`);
      const isNamed = !["backup.drafted", "backup.synced"].includes(step);
      const left = backupsIn(from.to);
      expect(left, step).toHaveLength(isNamed && step !== "backup.pruned" ? 2 : 1);
      expect(left.includes(former[0]!), step).toBe(step !== "backup.pruned");
      for (const name of left) expect(await opens(from, join(from.to, name)), step).toBe(true);
      expect(draftsIn(from.to), step).toHaveLength(isNamed ? 0 : 1);

      expect((await from.run("backup", "--directory", "to", "--keep", "1")).code).toBe(0);
      expect(backupsIn(from.to), step).toHaveLength(1);
      expect(left).not.toContain(backupsIn(from.to)[0]);
      expect(draftsIn(from.to), step).toEqual([]);
    }
  });
});

it("several at once are all made, and none removes the draft of another or the newest", async () => {
  const from = await filled();
  await from.run("backup", "--directory", "to", "--keep", "1");
  const [former] = backupsIn(from.to);
  const all = await Promise.all(
    Array.from({ length: 4 }, () => from.run("backup", "--directory", "to", "--keep", "1")),
  );
  expect(all.map(({ code, err }) => ({ code, err }))).toEqual(all.map(() => ({ code: 0, err: "" })));
  const left = backupsIn(from.to);
  expect(left.length).toBeGreaterThan(0);
  expect(left).not.toContain(former);
  expect(await opens(from, join(from.to, left.at(-1)!))).toBe(true);
  expect(draftsIn(from.to)).toEqual([]);
});

it("a draft that another is writing stays", async () => {
  const from = await filled();
  const waiting = start(["backup", "--directory", "to"], {
    env: { ...from.env, FLUO_WAIT_AT: "backup.drafted" },
    cwd: from.directory,
    flags: ["--import", waitAt!],
  });
  const said = once(waiting.stderr!, "data");
  const ended = resultOf(waiting);
  await Promise.race([said, ended]);
  const draft = draftsIn(from.to);
  expect(draft).toHaveLength(1);
  utimesSync(join(from.to, draft[0]!), new Date(0), new Date(0));
  expect((await from.run("backup", "--directory", "to")).code).toBe(0);
  expect(draftsIn(from.to)).toEqual(draft);
  waiting.stdin!.end();
  expect((await ended).code).toBe(0);
  expect(backupsIn(from.to)).toHaveLength(2);
  expect(draftsIn(from.to)).toEqual([]);
});

it("one whose name is of a time to come is left, and takes no other's place", async () => {
  const from = await filled();
  const ahead = `fluo-kms-${from.id}-20990101T000000000Z.db`;
  writeFileSync(join(from.to, ahead), "");
  for (const count of [1, 2, 2]) {
    expect((await from.run("backup", "--directory", "to", "--keep", "2")).code).toBe(0);
    expect(backupsIn(from.to)).toHaveLength(count + 1);
  }
  expect(backupsIn(from.to)).toContain(ahead);
});

it("is refused without a directory, for a store that no service used, and by its arguments", async () => {
  const from = await filled();
  rmSync(from.to, { recursive: true });
  const absent = await from.run("backup", "--directory", "to");
  expect(absent).toMatchObject({ code: 1, out: "" });
  expect(absent.err).toContain(`there is no directory ${from.to} for backups: make it, or mount its volume`);
  const unused = sqlitePlace();
  await (await openStore(unused.settings, realTime)).close();
  const { code, err } = await unused.run("backup", "--directory", unused.directory);
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("no service has used the store") });
  const wrong: [string[], string][] = [
    [[], "backup needs FILE or --directory DIR"],
    [["b.db", "--directory", "to"], "backup takes FILE or --directory, not both"],
    [["b.db", "--keep", "3"], "--keep needs --directory: a FILE has no older ones"],
    [["--directory", "to", "--keep", "0"], "--keep must be a whole number from 1 to 10000, not 0"],
    [["--directory", "to", "--keep", "1e3"], "--keep must be a whole number from 1 to 10000, not 1e3"],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await from.run("backup", ...args);
    expect({ code, says: err.includes(message) }, err).toEqual({ code: 2, says: true });
  }
});
