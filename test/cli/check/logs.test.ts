/** Logs in `backup`, `restore` and `check`: copied whole, ended unless they are known to be whole, and recomputed from their entries. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkLogs } from "../../../src/cli/check/logs.ts";
import { providerKeys } from "../../../src/provider-keys/provider-keys.ts";
import { unwrapStoreKey } from "../../../src/keys/store-key/unlock.ts";
import { openProvider } from "../../../src/provider/registry.ts";
import { signCheckpoint } from "../../../src/tlog/checkpoint.ts";
import type { LogHead } from "../../../src/store/log-store.ts";
import type { RowValue } from "../../../src/store/sql/rows/mac.ts";
import { openTables } from "../../../src/store/registry.ts";
import type { RowProblem } from "../../../src/store/row-problem.ts";
import { type SharedPostgres, sharedPostgres } from "../../support/shared-postgres.ts";
import { run } from "../../support/cli-fixture.ts";
import { contentOf, grown, hashOf, newLog } from "../../support/log-store-fixture.ts";
import { inStore, type Place, placesOn, sql, sqlitePlace, type Unlocked } from "../../support/cli-store-fixture.ts";
import { leaveUnusedHandover } from "../../support/unused-handover.ts";
import { realTime } from "../../../src/runtime/time.ts";

let server: SharedPostgres;
beforeAll(async () => {
  server = await sharedPostgres();
});
afterAll(() => server.close());

const kinds = placesOn(() => server);

const groups = [1, 300, 700, 5];
const size = 1006;
const request = { requestId: "r1", digest: hashOf("r1"), firstIndex: 0, count: 1, signedAt: new Date() };

/** A log of 1,006 entries, with a signed checkpoint of the tree after each group. */
async function grow({ store, keyring }: Unlocked, tenantId: string): Promise<string[]> {
  const { key } = await keyring.activeSigningKey(tenantId);
  let head: LogHead = newLog({ tenantId });
  await store.createLog(head);
  const notes = [];
  for (const [index, count] of groups.entries()) {
    const group = grown(head, count, index === 0 ? [request] : []);
    await store.appendLog(group);
    head = { ...head, ...group.next };
    notes.push(signCheckpoint(head, key));
  }
  return notes;
}

/** Notes of the tenants `acme` and `other`. */
const logsIn = (where: Place) =>
  inStore(where, async (unlocked) => ({
    acme: await grow(unlocked, "acme"),
    other: await grow(unlocked, "other"),
  }));

const next = (where: Place, name: string) => where.with({ name: "sqlite", file: join(where.directory, name) });

describe.each(kinds)("logs of a %s store", (_, make) => {
  it("may have handovers that were not used, which are counted and no problem", async () => {
    const where = await make();
    await logsIn(where);
    expect((await where.json("check")).answer).toMatchObject({ ok: true, unused_handovers: 0 });
    await inStore(where, async ({ store, provider }) => {
      const key = await unwrapStoreKey((await store.storeKey())!, providerKeys({ current: provider }));
      const backdoor = { store, key, sql: (text: string, ...values: RowValue[]) => sql(where, text, ...values) };
      for (const tenantId of ["acme", "acme", "other"]) await leaveUnusedHandover(backdoor, tenantId);
    });
    const { code, answer } = await where.json("check");
    expect({ code, answer }).toMatchObject({ code: 0, answer: { ok: true, unused_handovers: 3, problems: [] } });
    const terminal = "--import=data:text/javascript,Object.assign(process.stdout,{isTTY:true,getColorDepth:()=>1})";
    const { out } = await run(["check"], { env: { ...where.env, NODE_OPTIONS: terminal }, cwd: where.directory });
    expect(out).toMatch(/^unused handovers +3 that were not used$/m);
  });

  it("are backed up and restored whole, and end", async () => {
    const from = await make();
    await logsIn(from);
    const { out } = await from.run("backup", "b.db");
    expect(out).toMatch(/^ {2}request ids +0 of rotations, 2 of batches$/m);
    expect(out).toMatch(/^ {2}logs +2 with 2012 entries$/m);
    expect((await from.json("backup", "b2.db")).answer).toMatchObject({ requests: 0, batches: 2 });
    const into = next(from, "new.db");
    const restored = await into.run("restore", "b.db");
    expect(restored).toMatchObject({ code: 0, err: "" });
    expect(restored.out).toMatch(/^ {2}request ids +0 of rotations, 2 of batches$/m);
    expect(restored.out).toMatch(
      /^ {2}acme +kms\.example\.com\/acme +1006 entries +ends: no checkpoint of it is known$/m,
    );
    expect(restored.out).toContain("warning: Logs that end stay as they are");
    await inStore(into, async ({ store }) => {
      for (const tenantId of ["acme", "other"]) {
        const head = (await store.logHead(tenantId))!;
        expect(head).toMatchObject({ number: 1, size, state: "restored" });
        const group = grown(head, 1);
        await expect(store.appendLog(group)).rejects.toBeKmsError("CONFLICT");
        const number = await store.nextLogNumber(tenantId);
        expect(number).toBeGreaterThan(1_700_000_000); // the second of the restore
        await store.createLog(newLog({ tenantId, number, origin: `kms.example.com/${tenantId}/${number}` }));
        expect(await store.logRequest(head, "r1")).toEqual(request);
      }
      const stored = await contentOf(store, { tenantId: "acme", number: 1 }, size);
      await inStore(from, async ({ store: before }) => {
        expect(stored).toEqual(await contentOf(before, { tenantId: "acme", number: 1 }, size));
      });
    });
    expect((await into.json("check")).answer).toMatchObject({ ok: true, problems: [] });
  });

  it("go on in a restored store that reaches the latest checkpoints that are known", async () => {
    const from = await make();
    const { acme, other } = await logsIn(from);
    await from.run("backup", "b.db");
    writeFileSync(join(from.directory, "acme.txt"), acme[1]!);
    writeFileSync(join(from.directory, "all.txt"), `${acme[3]}\n${other[2]}`);
    const into = next(from, "new.db");
    const options = ["--checkpoint", "acme.txt", "--checkpoint", "all.txt"];
    const { code, answer } = await into.json("restore", "b.db", ...options);
    expect(code).toBe(0);
    expect(answer).toMatchObject({
      logs: [
        {
          tenant_id: "acme",
          origin: "kms.example.com/acme",
          size,
          goes_on: true,
          why: "it reaches the checkpoint of 1006",
        },
        { tenant_id: "other", goes_on: true, why: "it reaches the checkpoint of 1001" },
      ],
    });
    await inStore(into, async ({ store }) => {
      const head = (await store.logHead("acme"))!;
      expect(head.state).toBe("open");
      await store.appendLog(grown(head, 3));
    });
    expect((await into.json("check")).answer).toMatchObject({ ok: true, problems: [] });
  });

  it.each([
    [
      "an entry that was altered",
      "update kms_log_entries set data = ?1 where start = 1006 - 5 and tenant_id = 'acme'",
      5,
    ],
    [
      "a hash that was altered",
      "update kms_log_hashes set data = ?1 where start = 0 and level = 0 and tenant_id = 'acme'",
      1,
    ],
  ])("are checked: %s", async (_what, text) => {
    const from = await make();
    await logsIn(from);
    const [row] = await sql(from, text.replace(/^update (\w+) set data = \?1/, "select data from $1"));
    const data = new Uint8Array(row!.data as Uint8Array);
    data[data.length - 1]! ^= 1;
    await sql(from, text, data);
    const { code, answer } = await from.json("check");
    expect(code).toBe(1);
    const altered = text.includes("entries") ? "entry 1005" : "entry 0";
    expect(answer.problems).toMatchObject([
      { kind: "log_content", tenant_id: "acme", what: `log 1: ${altered} or its hash was altered` },
    ]);
  });
});

describe("a log of a restored store ends", () => {
  const backedUp = async () => {
    const from = sqlitePlace();
    const notes = await logsIn(from);
    await from.run("backup", "b.db");
    return { from, ...notes };
  };

  async function whyEnded(from: Place, note: string): Promise<string | undefined> {
    writeFileSync(join(from.directory, "note.txt"), note);
    const into = next(from, "new.db");
    const { code, answer } = await into.json("restore", "b.db", "--checkpoint", "note.txt");
    expect(code).toBe(0);
    const { logs } = answer as unknown as { logs: { tenant_id: string; goes_on: boolean; why: string }[] };
    const [acme] = logs.filter((log) => log.tenant_id === "acme");
    expect(acme?.goes_on).toBe(false);
    await inStore(into, async ({ store }) => {
      expect((await store.logHead("acme"))?.state).toBe("restored");
    });
    return acme?.why;
  }

  const signed = (from: Place, changes: Partial<LogHead>, tenantId = "acme") =>
    inStore(from, async ({ store, keyring }) => {
      const { key } = await keyring.activeSigningKey(tenantId);
      const head = (await store.logHead("acme"))!;
      return signCheckpoint({ ...head, ...changes }, key);
    });

  it("before a checkpoint that it does not reach", async () => {
    const { from } = await backedUp();
    const note = await signed(from, { size: size + 1, root: randomBytes(32) });
    expect(await whyEnded(from, note)).toBe("it does not reach the checkpoint of 1007");
  });

  it("where it had another root than the checkpoint", async () => {
    const { from } = await backedUp();
    const note = await signed(from, { size: 500, root: randomBytes(32) });
    expect(await whyEnded(from, note)).toBe("it has another root at 500 than the checkpoint");
  });

  it("where no key of its tenant signed the checkpoint, or a signature does not hold", async () => {
    const { from } = await backedUp();
    const strange = await signed(from, {}, "other");
    expect(await whyEnded(from, strange)).toBe("no key of the tenant in the backup signed the checkpoint of 1006");
    const { from: again, acme } = await backedUp();
    const forged = acme[3]!.replace("\n1006\n", "\n1005\n");
    expect(await whyEnded(again, forged)).toBe("a signature of the checkpoint of 1005 does not hold");
  });

  it("where a key signed the checkpoint that is compromised", async () => {
    const { from } = await backedUp();
    const note = await signed(from, {});
    await inStore(from, async ({ store, keyring }) => {
      const { keyId } = (await store.active("acme", "signing"))!;
      await keyring.markCompromised({ tenantId: "acme", keyId, by: { actor: "ann", requestId: "" } });
    });
    await from.run("backup", "b2.db");
    writeFileSync(join(from.directory, "note.txt"), note);
    const into = next(from, "new.db");
    const { answer } = await into.json("restore", "b2.db", "--checkpoint", "note.txt");
    const why = "no key of the tenant in the backup signed the checkpoint of 1006";
    expect(answer).toMatchObject({ logs: [{ tenant_id: "acme", goes_on: false, why }, { tenant_id: "other" }] });
  });

  it("once, though the checkpoint is known at the next restore", async () => {
    const { from, acme } = await backedUp();
    expect((await next(from, "new.db").run("restore", "b.db")).code).toBe(0);
    await next(from, "new.db").run("backup", "b2.db");
    writeFileSync(join(from.directory, "note.txt"), acme[3]!);
    const { answer } = await next(from, "third.db").json("restore", "b2.db", "--checkpoint", "note.txt");
    expect(answer).toMatchObject({ logs: [{ tenant_id: "acme", goes_on: false, why: "it had ended" }, {}] });
  });
});

describe("restore", () => {
  it("refuses a file that holds no checkpoints, and one that is not there", async () => {
    const from = sqlitePlace();
    const { acme } = await logsIn(from);
    await from.run("backup", "b.db");
    const into = next(from, "new.db");
    const [note] = acme;
    for (const text of [
      "",
      "kms\n1\n",
      note!.slice(0, -1),
      `${note}rest`,
      note!.replace("\n1\n", "\none\n"),
      `x${note}\u0000`,
    ]) {
      writeFileSync(join(from.directory, "note.txt"), text);
      const { code, err } = await into.run("restore", "b.db", "--checkpoint", "note.txt");
      expect({ code, err }, text).toEqual({ code: 1, err: expect.stringContaining("note.txt holds no checkpoint") });
    }
    const { code, err } = await into.run("restore", "b.db", "--checkpoint", "none.txt");
    expect(code).toBe(2);
    expect(err).toContain("none.txt cannot be read (ENOENT)");
  });

  it("says where a checkpoint is of a log that the backup does not have", async () => {
    const from = sqlitePlace();
    const { acme } = await logsIn(from);
    await from.run("backup", "b.db");
    writeFileSync(join(from.directory, "note.txt"), acme[0]!.replace("/acme\n", "/gone\n"));
    const { code, out } = await next(from, "new.db").run("restore", "b.db", "--checkpoint", "note.txt");
    expect(code).toBe(0);
    expect(out).toContain("warning: There is a checkpoint of kms.example.com/gone, and no such log in the backup.");
  });

  it("refuses a backup in which a log was altered", async () => {
    for (const [text, expected] of [
      ["delete from kms_log_entries where start = 0", "log_content: tenant acme: log 1: entry 0 is missing"],
      ["update kms_logs set size = 1", "log_altered: tenant acme: the head of log 1 was altered"],
      ["update kms_log_requests set count = 2", "log_altered: tenant acme: the remembered batch r1 was altered"],
    ] as const) {
      const from = sqlitePlace();
      await logsIn(from);
      await from.run("backup", "b.db");
      await sql(next(from, "b.db"), text);
      const { code, err } = await next(from, "new.db").run("restore", "b.db");
      expect(code).toBe(1);
      expect(err).toContain("nothing was restored");
      expect(err).toContain(expected);
    }
  });
});

describe("check finds", () => {
  /** In this process: a command is another second. */
  async function problemsIn({ settings, masterKeyFile }: Place): Promise<string[]> {
    const [provider] = await openProvider({ name: "local", masterKeyFile }, realTime);
    const tables = await openTables(settings);
    const found: string[] = [];
    const problem = ({ kind, tenantId, what }: RowProblem) => found.push(`${kind} ${tenantId} ${what}`);
    try {
      const key = await unwrapStoreKey((await tables.storeKey())!, providerKeys({ current: provider }));
      await tables.check(key, { problem });
      await checkLogs(tables, key, { problem, progress: () => {} });
    } finally {
      await tables.close();
    }
    return found;
  }

  async function problemsAfter(...texts: string[]): Promise<string[]> {
    const where = sqlitePlace();
    await logsIn(where);
    for (const text of texts) await sql(where, text);
    return problemsIn(where);
  }
  const acme = "tenant_id = 'acme'";

  it.each([
    [
      "missing entries",
      `delete from kms_log_entries where ${acme} and start = 256`,
      "log_content acme log 1: entry 256 is missing",
    ],
    [
      "a missing end",
      `delete from kms_log_entries where ${acme} and start = 1001`,
      "log_content acme log 1: the entries from 1001 on are missing, of 1006",
    ],
    [
      "entries behind the end",
      "insert into kms_log_entries select tenant_id, number, 1006, data from kms_log_entries where tenant_id = 'acme' and start = 1001",
      "log_content acme log 1: there are entries from 1006 on, where the head ends: it was set back",
    ],
    [
      "entries that are none",
      `update kms_log_entries set data = x'00ff01' where ${acme} and start = 1001`,
      "log_content acme log 1: the entries from 1001 on are not in their form",
    ],
    [
      "missing hashes",
      `delete from kms_log_hashes where ${acme} and level = 0 and start = 1`,
      "log_content acme log 1: hash 1 of level 0 is missing",
    ],
    [
      "missing nodes",
      `delete from kms_log_hashes where ${acme} and level = 1`,
      "log_content acme log 1: hash 0 of level 1 is missing",
    ],
    [
      "a node that was altered",
      `update kms_log_hashes set data = zeroblob(32) where ${acme} and level = 1 and start = 0`,
      "log_content acme log 1: hash 0 of level 1 is not that of the entries below it",
    ],
    [
      "hashes behind the end",
      "insert into kms_log_hashes select tenant_id, number, 1, 3, data from kms_log_hashes where tenant_id = 'acme' and level = 1 and start = 0",
      "log_content acme log 1: there are hashes of level 1 from 3 on, where the log ends",
    ],
    [
      "hashes of a level that no log has",
      "insert into kms_log_hashes values ('acme', 1, 9, 0, zeroblob(32))",
      "log_content acme log 1 has hashes of level 9, which no log has",
    ],
  ])("%s", async (_, text, expected) => {
    expect(await problemsAfter(text)).toEqual([expected]);
  });

  it("a number that is none of ours", async () => {
    const text = `update kms_log_entries set start = 9007199254740993 where ${acme} and start = 1001`;
    expect(await problemsAfter(text)).toEqual([expect.stringContaining("log_content acme log 1: entry")]);
  });

  it("entries and hashes whose head was removed", async () => {
    expect(await problemsAfter(`delete from kms_logs where ${acme}`)).toEqual([
      "log_content acme log 1 has entries and no head: restore it from a backup",
      "log_content acme log 1 has hashes and no head: restore it from a backup",
      "log_set_back acme log 1 is gone, and it had at least 1",
    ]);
  });

  it("a head that another tenant's was put in the place of", async () => {
    const columns = "number, origin, size, root, frontier, state, created_at, changed_at, mac";
    const swap = `insert into kms_logs select 'acme', ${columns} from kms_logs where tenant_id = 'other'`;
    expect(await problemsAfter(`delete from kms_logs where ${acme}`, swap)).toEqual([
      "log_altered acme the head of log 1 was altered",
    ]);
  });

  it("a log that was set back whole, if only by what is remembered of it", async () => {
    const where = sqlitePlace();
    await inStore(where, async ({ store, keyring }) => {
      await keyring.activeSigningKey("acme");
      const head = newLog();
      await store.createLog(head);
      const [before] = await sql(where, "select * from kms_logs");
      await store.appendLog(grown(head, 5, [{ ...request, count: 5 }]));
      for (const table of ["kms_log_entries", "kms_log_hashes", "kms_logs"]) await sql(where, `delete from ${table}`);
      const places = Object.keys(before!).map((_, index) => `?${index + 1}`);
      await sql(where, `insert into kms_logs values (${places.join(", ")})`, ...Object.values(before!));
    });
    expect(await problemsIn(where)).toEqual(["log_set_back acme log 1 has 0 entries, and it had at least 5"]);
  });

  it("no more than a hundred things that are wrong in one log", async () => {
    const problems = await problemsAfter(
      `update kms_log_hashes set data = zeroblob(length(data)) where ${acme} and level = 0`,
    );
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe("log_content acme log 1: and more is wrong behind that");
  });
});
