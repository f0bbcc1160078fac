import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { thrownBy } from "./matchers.ts";
import { postgresAvailable } from "./postgres-cluster.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.ts";

const missing = !postgresAvailable();

it.skipIf(missing && !process.env.CI)("there is a PostgreSQL to test with", () => {
  expect(missing).toBe(false);
});

describe.skipIf(missing)("a PostgreSQL server", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  it("has databases apart from each other", async () => {
    const [one, other] = await Promise.all([server.createDatabase(), server.createDatabase()]);
    expect(one).not.toBe(other);
    await query(one, "CREATE TABLE here (id int)");
    expect(await query(one, "SELECT count(*)::int AS n FROM here")).toEqual([{ n: 0 }]);
    await expect(query(other, "SELECT * FROM here")).rejects.toThrow('relation "here" does not exist');
  });

  it("counts time in UTC", async () => {
    expect(await query(server.url, "SHOW timezone")).toEqual([{ TimeZone: "UTC" }]);
    expect(await query(server.url, "SET TIME ZONE 'UTC'")).toEqual([]);
  });

  it("takes connections with the password only", async () => {
    const url = new URL(server.url);
    url.password = "guess";
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await expect(query(url.href, "SELECT 1")).rejects.toThrow("password authentication failed");
  });

  it("keeps what was committed, and nothing else, when it is killed", async () => {
    const url = await server.createDatabase();
    await query(url, "CREATE TABLE kept (id int)");
    await query(url, "INSERT INTO kept VALUES (1)");
    const open = new Client({ connectionString: url });
    const lost = new Promise((resolve) => open.on("error", resolve));
    await open.connect();
    await open.query("BEGIN");
    await open.query("INSERT INTO kept VALUES (2)");

    const { pid } = server;
    await server.kill();
    await lost;
    await expect.poll(() => thrownBy(() => process.kill(pid, 0))).toMatchObject({ code: "ESRCH" });
    await expect(query(url, "SELECT 1")).rejects.toThrow("ECONNREFUSED");

    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(await query(url, "SELECT id FROM kept")).toEqual([{ id: 1 }]);
  });

  it("kills a connection that is at work", async () => {
    const url = await server.createDatabase();
    const busy = new Client({ connectionString: url });
    busy.on("error", () => {});
    await busy.connect();
    const answer = expect(busy.query("SELECT count(*) FROM generate_series(1, 1e12)")).rejects.toThrow();
    await server.kill();
    await answer;
    await server.restart();
  });

  it("stops in good order and starts again", async () => {
    await server.stop();
    await expect(query(server.url, "SELECT 1")).rejects.toThrow("ECONNREFUSED");
    expect(() => server.pid).toThrow("does not run");
    await server.restart();
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await expect(server.restart()).rejects.toThrow("runs already");
  });
});

describe.skipIf(missing)("a PostgreSQL server of its own", () => {
  it("syncs what is committed if that is asked for", async () => {
    const server = await startPostgres({ durable: true });
    try {
      expect(await query(server.url, "SHOW fsync")).toEqual([{ fsync: "on" }]);
      expect(await query(server.url, "SHOW full_page_writes")).toEqual([{ full_page_writes: "on" }]);
    } finally {
      await server.close();
    }
  });

  it("leaves nothing when it is closed, running or not", async () => {
    const [running, stopped] = await Promise.all([startPostgres(), startPostgres()]);
    const dirs = [directoryOf(running.pid), directoryOf(stopped.pid)];
    expect(dirs.map((dir) => existsSync(dir))).toEqual([true, true]);
    await stopped.stop();
    await Promise.all([running.close(), stopped.close()]);
    expect(dirs.map((dir) => existsSync(dir))).toEqual([false, false]);
  });

  it("ends with a test process that is killed", async () => {
    const script = `
      const { startPostgres } = await import(${JSON.stringify(join(import.meta.dirname, "postgres-server.ts"))});
      console.log((await startPostgres()).pid);
      setInterval(() => {}, 1000);`;
    const test = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(createInterface({ input: test.stdout }), "line");
    const pid = Number(line);
    const dir = directoryOf(pid);
    expect(existsSync(dir)).toBe(true);
    test.kill("SIGKILL");
    await expect.poll(() => existsSync(dir)).toBe(false);
    await expect.poll(() => thrownBy(() => process.kill(pid, 0))).toMatchObject({ code: "ESRCH" });
  });
});

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/** By the file in which a server notes its process. */
function directoryOf(pid: number): string {
  const dirs = readdirSync(tmpdir()).filter((name) => name.startsWith("fluo-kms-postgres-"));
  const dir = dirs.find((name) => {
    try {
      return readFileSync(join(tmpdir(), name, "data", "postmaster.pid"), "utf8").startsWith(`${pid}\n`);
    } catch {
      return false; // it has no server, or goes away
    }
  });
  if (dir === undefined) throw new Error(`no directory of server ${pid}`);
  return join(tmpdir(), dir);
}
