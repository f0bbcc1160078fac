/** A store that is put back, as an operator meets it: the refused start, what accepts it, and restores on one replica and on three. */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { directory } from "../../support/config-fixture.ts";
import { type Place, place, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { digestIn, refusedStart, type ServedHere, serveHere } from "../../support/heads-process.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { type SharedPostgres, sharedPostgres } from "../../support/shared-postgres.ts";
import { beginProcess } from "../../support/service-process.ts";

const killAt = join(import.meta.dirname, "../../crash/kill-at.ts");

const key = ({ client }: Pick<ServedHere, "client">, tenantId: string) => client.generateDataKey({ tenantId });

describe("a SQLite store", () => {
  it("that is put back is refused, told by check, and used once that is accepted, by its digest alone", async () => {
    const where = sqlitePlace();
    const file = (where.settings as { file: string }).file;
    const first = await serveHere(where);
    await key(first, "acme");
    await first.end();
    const kept = join(where.directory, "kept.db");
    cpSync(file, kept);
    const second = await serveHere(where);
    await key(second, "globex");
    await second.end();
    const putBack = () => {
      for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
      cpSync(kept, file);
    };
    putBack();
    const said = await refusedStart(where);
    expect(said).toContain("did not start: the store is behind what");
    expect(said).toMatch(/data key [0-9a-f]{32} of tenant globex, version 1, was ACTIVE, and is gone/);
    const { code, answer } = await where.json("check");
    expect(code).toBe(1);
    expect(answer.problems).toMatchObject([{ kind: "rollback", what: expect.stringContaining(digestIn(said)) }]);

    const wrong = await where.run("accept-rollback", "0".repeat(64));
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining(digestIn(said)) });
    const accepted = await where.run("accept-rollback", digestIn(said));
    expect(accepted).toMatchObject({ code: 0, out: expect.stringContaining("of tenant globex") });
    const again = await where.run("accept-rollback", digestIn(said));
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining("there is nothing to accept") });
    expect((await where.json("check")).answer.problems).toEqual([]);
    const third = await serveHere(where);
    const { heads, notices } = await third.client.status({});
    expect(heads).toMatchObject({ file: `${file}-heads`, problem: "", remark: expect.stringContaining("file system") });
    expect(notices.join()).not.toContain("put back");
    await key(third, "initech");
    await third.end();

    putBack();
    const next = await refusedStart(where);
    expect(next).toContain("initech");
    expect((await where.run("accept-rollback", digestIn(said))).code).toBe(1);
  });

  it("whose count of commits is damaged, or whose heads file cannot be read, is checked to the end", async () => {
    const where = sqlitePlace();
    const file = (where.settings as { file: string }).file;
    const first = await serveHere(where);
    await key(first, "acme");
    await first.end();
    const db = new DatabaseSync(file);
    db.exec("update kms_keys set created_at = created_at + 1; update kms_commits set commits = commits + 1");
    db.close();
    const altered = { kind: "record_altered" };
    const { code, answer } = await where.json("check");
    expect({ code, problems: answer.problems }).toMatchObject({
      code: 1,
      problems: [altered, { kind: "heads", what: expect.stringContaining("the count of commits") }],
    });
    rmSync(`${file}-heads`);
    mkdirSync(`${file}-heads`);
    expect((await where.json("check")).answer.problems).toMatchObject([
      altered,
      { kind: "rollback", what: expect.stringContaining(`the heads file ${file}-heads cannot be read`) },
    ]);
  });

  it("that is restored is used with its heads file or without, and what the backup lacks is told", async () => {
    const where = sqlitePlace();
    const file = (where.settings as { file: string }).file;
    const first = await serveHere(where);
    await key(first, "acme");
    const backup = join(where.directory, "backup.db");
    expect((await where.run("backup", backup)).code).toBe(0);
    await key(first, "globex");
    await first.end();
    for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
    const { code, out } = await where.run("restore", backup);
    expect(code).toBe(0);
    expect(out).toMatch(/lost: data key [0-9a-f]{32} of tenant globex, version 1, was ACTIVE, and is gone/);
    expect((await where.json("check")).answer.problems).toEqual([]);
    for (let starts = 0; starts < 2; starts += 1) await (await serveHere(where)).end();

    const elsewhere = sqlitePlace("elsewhere.db");
    cpSync(where.masterKeyFile, elsewhere.masterKeyFile);
    expect((await elsewhere.run("restore", backup)).code).toBe(0);
    await (await serveHere(elsewhere)).end();
    expect(existsSync(join(elsewhere.directory, "elsewhere.db-heads"))).toBe(true);
    expect((await elsewhere.run("restore", "--heads", "none", backup)).code).toBe(2);
  });

  it.each(["heads.drafted:1", "heads.renamed:1", "heads.renamed:2", "heads.begun:1", "heads.drafted:3"])(
    "starts after a crash at %s",
    async (step) => {
      const where = sqlitePlace();
      const killed = beginProcess({ ...where.env, FLUO_CRASH_AT: step }, { preload: [killAt] });
      killed.serving.then((service) => key(service, "acme")).catch(() => {});
      expect((await killed.ended).err).toContain("killed at heads.");
      for (let starts = 0; starts < 2; starts += 1) {
        const service = await serveHere(where);
        await key(service, "globex");
        await service.end();
      }
    },
  );
});

describe.runIf(postgresAvailable())("a PostgreSQL store", () => {
  let server: SharedPostgres;
  beforeAll(async () => {
    server = await sharedPostgres();
  });
  afterAll(() => server.close());

  it("that is restored under three replicas is used by those whose heads file was named, and by no other", async () => {
    const path = directory();
    const at = async () => place(path, { name: "postgres", url: await server.createDatabase(), maxConnections: 4 });
    const headsOf = (replica: number) => join(path, `heads-${replica}`);
    const replica = ({ env }: Place, n: number): Place["env"] => ({ ...env, FLUO_KMS_AUDIT_HEADS_FILE: headsOf(n) });
    const old = await at();
    const backup = join(path, "backup.db");
    const services: ServedHere[] = [];
    for (const n of [1, 2, 3]) services.push(await serveHere({ env: replica(old, n) }));
    await key(services[0]!, "acme");
    expect((await old.run("backup", backup)).code).toBe(0);
    for (const [n, service] of services.entries()) await key(service, `t${n + 1}`);
    for (const service of services) await service.end();
    const kept = join(path, "kept");
    mkdirSync(kept);
    const headsFiles = readdirSync(path).filter((name) => /^heads-\d(\.1)?$/.test(name));
    for (const name of headsFiles) cpSync(join(path, name), join(kept, name));

    const whole = await at();
    whole.env.FLUO_KMS_AUDIT_HEADS_FILE = headsOf(1);
    expect((await whole.run("restore", "--heads", headsOf(2), "--heads", headsOf(3), backup)).code).toBe(0);
    const restored = await Promise.all([1, 2, 3].map((n) => serveHere({ env: replica(whole, n) })));
    for (const { http, client } of restored) {
      await expect.poll(async () => (await fetch(`${http}/q/health/ready`)).status).toBe(200);
      expect((await client.status({})).heads?.problem).toBe("");
    }
    await Promise.all(restored.map((service) => service.end()));

    for (const name of headsFiles) cpSync(join(kept, name), join(path, name));
    const fresh = await at();
    fresh.env.FLUO_KMS_AUDIT_HEADS_FILE = headsOf(1);
    const { code, out } = await fresh.run("restore", "--heads", headsOf(2), backup);
    expect(code).toBe(0);
    expect(out).toMatch(/lost: .*of tenant t1,/);
    expect(out).toMatch(/lost: .*of tenant t2,/);
    await (await serveHere({ env: replica(fresh, 1) })).end();
    const second = await serveHere({ env: replica(fresh, 2) }); // it goes on while the third is accepted
    const said = await refusedStart({ env: replica(fresh, 3) });
    expect(said).toMatch(/of tenant t3, version 1, was ACTIVE, and is gone/);
    await key(second, "initech");
    fresh.env.FLUO_KMS_AUDIT_HEADS_FILE = headsOf(3);
    expect((await fresh.run("accept-rollback", digestIn(said))).code).toBe(0);
    await (await serveHere({ env: replica(fresh, 3) })).end();
    await second.end();
  });
});
