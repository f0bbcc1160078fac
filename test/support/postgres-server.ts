/**
 * A PostgreSQL server of the test's own, for tests that stop it or change its settings: all others share one, see shared-postgres.ts. It is
 * on a loopback port that was free, in a temporary directory. It ends with the test process at the latest, however that ends: a guard, a
 * shell that waits for the end of its input, then ends the server and removes the directory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { askRun, isRun } from "./ask-run.ts";
import { onFreePorts } from "./free-ports.ts";
import { type Cluster, copyData, giveToServer, makeCluster, startProgram } from "./postgres-cluster.ts";

export interface PostgresServer {
  /** Of the superuser, with a password, in the database `postgres`. */
  url: string;
  port: number;
  /** Of the postmaster; another after `restart`. */
  readonly pid: number;
  /** Ends connections and the server in good order. */
  stop(): Promise<void>;
  /** SIGKILL for all of the server's processes, as in a crash. Resolves when they are gone. */
  kill(): Promise<void>;
  /** Starts again after `stop` or `kill`, on the same port and data. */
  restart(): Promise<void>;
  /**
   * A copy of all databases as they are now. The server is stopped for it, and when it is put back; whoever is connected connects again. As a
   * standby it is one that lags behind: it waits for a primary, and can only be read.
   */
  copied(): Promise<{ putBack(as?: "standby"): Promise<void> }>;
  /**
   * A standby with all that the server has, on a port of its own; `select pg_promote()` makes it a primary. It is synchronous: from now on the
   * server answers a commit once the standby has it. The server is stopped to be copied.
   */
  standby(): Promise<PostgresServer>;
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>;
  /** Ends the server, running or not, and removes its directory. */
  close(): Promise<void>;
}

export interface PostgresOptions {
  /** Where an installed PostgreSQL has its programs, instead of the package. */
  programs?: string | undefined;
  /** Whether commits reach the disk. Without it they survive a crash of the server, not one of the machine. */
  durable?: boolean;
  /** More settings, by name. */
  settings?: Readonly<Record<string, string>>;
  /** PEM of the server's certificate and key, if it speaks TLS. */
  tls?: { certificate: string; key: string } | undefined;
}

/**
 * Waits for its input to end; the last line of it is the process that runs then, if any. SIGQUIT is PostgreSQL's immediate shutdown. A
 * server that got SIGKILL leaves a file, which names a piece of System V shared memory that only a restart would remove.
 */
const guardScript = `
while read -r line; do pid=$line; done
left=50
if [ -n "$pid" ] && kill -QUIT "$pid"; then
  while [ $left -gt 0 ] && kill -0 "$pid"; do sleep 0.1; left=$((left - 1)); done
  kill -KILL "$pid"
fi
memory=$(sed -n '7s/.* //p' "$1/data/postmaster.pid")
if [ -n "$memory" ]; then ipcrm -m "$memory"; fi
left=50
until rm -rf "$1" || [ $left -eq 0 ]; do sleep 0.1; left=$((left - 1)); done
`;

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { programs, tls, ...running } = options;
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-postgres-"));
  const guard = startGuard(dir);
  try {
    giveToServer(dir);
    const cluster = programs === undefined ? await clusterOfRun(dir) : await makeCluster(dir, programs);
    const own = { "server.pem": tls?.certificate, "server.key": tls?.key };
    for (const [name, pem] of Object.entries(own)) {
      if (pem === undefined) continue;
      writeFileSync(join(dir, name), pem, { mode: 0o600 });
      giveToServer(join(dir, name));
    }
    const setup = { dir, bin: cluster.bin, durable: false, settings: {}, ...running, hasTls: tls !== undefined };
    return await run(setup, guard, cluster.password);
  } catch (error) {
    await ended(guard);
    throw error;
  }
}

/** A copy of the run's, or one of its own outside of a run. */
async function clusterOfRun(dir: string): Promise<Cluster> {
  if (!isRun()) return makeCluster(dir);
  const cluster = await askRun<Cluster>("cluster");
  const data = join(dir, "data");
  copyData(cluster.data, data);
  return { ...cluster, data };
}

function startGuard(dir: string): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", guardScript, "guard", dir], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  keepAlive(guard, false);
  return guard;
}

interface Setup {
  dir: string;
  bin: string;
  durable: boolean;
  settings: Readonly<Record<string, string>>;
  hasTls: boolean;
}

async function run(setup: Setup, guard: ChildProcess, password: string): Promise<PostgresServer> {
  let server: ChildProcess | undefined;
  let databases = 0;

  async function start(port: number): Promise<void> {
    const child = launch(setup, port);
    guard.stdin!.write(`${child.pid}\n`);
    try {
      await ready(child);
      server = child;
    } catch (error) {
      guard.stdin!.write("\n");
      throw error;
    }
  }

  /** Nothing of the server is left when its standard error is closed: all its processes hold it. */
  async function end(signal: (pid: number) => void): Promise<void> {
    if (server === undefined) throw new Error("the PostgreSQL server does not run");
    const closed = once(server, "close");
    keepAlive(server, true);
    signal(server.pid!);
    await closed;
    server = undefined;
    guard.stdin!.write("\n");
  }

  const stop = () => end((pid) => process.kill(pid, "SIGINT"));
  const port = await onFreePorts(1, async (port) => {
    await start(port!);
    return port!;
  });
  const url = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
  return {
    url: url("postgres"),
    port,
    get pid() {
      if (server === undefined) throw new Error("the PostgreSQL server does not run");
      return server.pid!;
    },
    stop,
    kill: () => end(killAll),
    async restart() {
      if (server !== undefined) throw new Error("the PostgreSQL server runs already");
      await start(port);
    },
    async copied() {
      const [data, copy] = ["data", `data.${randomBytes(4).toString("hex")}`].map((name) => join(setup.dir, name));
      const put = async (from: string, to: string, isStandby = false) => {
        await stop();
        rmSync(to, { recursive: true, force: true });
        copyData(from, to);
        if (isStandby) writeFileSync(join(to, "standby.signal"), "");
        await start(port);
      };
      await put(data!, copy!);
      return { putBack: (as) => put(copy!, data!, as === "standby") };
    },
    async standby() {
      await stop();
      const beside = copyAsStandby(setup, url("postgres"));
      await start(port);
      const standby = await run({ ...beside, hasTls: false }, startGuard(beside.dir), password);
      await execute(url("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()");
      return standby;
    },
    async createDatabase() {
      databases += 1;
      const name = `test${databases}`;
      // Nobody can be connected to template0, which would make this fail.
      await execute(url("postgres"), `CREATE DATABASE ${name} TEMPLATE template0`);
      return url(name);
    },
    async close() {
      if (server !== undefined) await end((pid) => process.kill(pid, "SIGQUIT"));
      await ended(guard);
    },
  };
}

/** Runs statements one after the other, over a connection of its own. */
export async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function copyAsStandby(setup: Setup, primary: string): Setup {
  const dir = mkdtempSync(join(setup.dir, "standby-"));
  chmodSync(dir, 0o755); // the server's user need not be who runs this
  const data = join(dir, "data");
  copyData(join(setup.dir, "data"), data);
  writeFileSync(join(data, "standby.signal"), "");
  appendFileSync(join(data, "postgresql.auto.conf"), `primary_conninfo = '${primary}'\n`);
  return { ...setup, dir };
}

function launch({ dir, bin, durable, settings, hasTls }: Setup, port: number): ChildProcess {
  const all = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 100,
    shared_buffers: "32MB",
    // In the data directory, not in /dev/shm, where they would stay after SIGKILL.
    dynamic_shared_memory_type: "mmap",
    fsync: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
    ...(hasTls && {
      ssl: "on",
      ssl_cert_file: join(dir, "server.pem"),
      ssl_key_file: join(dir, "server.key"),
    }),
    ...settings,
  };
  const options = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return startProgram(dir, join(bin, "postgres"), ["-D", "data", ...options]);
}

/** Resolves when the server accepts connections; rejects when it ends before, with what it wrote. */
function ready(server: ChildProcess): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let err = "";
    server.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      // Read on, or the server waits for room in the pipe; but keep only what may be of use.
      err = (err + chunk).slice(-10_000);
      if (/database system is ready to accept (read-only )?connections/.test(err)) resolve();
    });
    server.once("error", reject);
    server.once("close", () => reject(new Error(`the PostgreSQL server ended: ${err}`)));
  }).then(() => {
    keepAlive(server, false);
  });
}

/** Whether this process goes on for the other one's sake. Its pipes count too. */
function keepAlive(child: ChildProcess, yes: boolean): void {
  const verb = yes ? "ref" : "unref";
  child[verb]();
  for (const pipe of [child.stdin, child.stderr]) (pipe as Socket | null)?.[verb]();
}

/** The postmaster first, which would otherwise start again what it loses. Children that are not found end when they miss it. */
function killAll(pid: number): void {
  const list = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(list) ? readFileSync(list, "utf8").trim().split(" ").filter(Boolean) : [];
  process.kill(pid, "SIGKILL");
  for (const each of children) {
    try {
      process.kill(Number(each), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

async function ended(guard: ChildProcess): Promise<void> {
  if (guard.exitCode !== null) return;
  const closed = once(guard, "close");
  keepAlive(guard, true);
  guard.stdin!.end();
  await closed;
}
