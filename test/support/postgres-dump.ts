/** `pg_dump` and `psql`, where a whole PostgreSQL is installed: they dump no server that is newer than they are. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const needed = ["initdb", "postgres", "pg_dump", "psql"];

/** The directory of its programs; undefined where there is none. */
export function installedPostgres(): string | undefined {
  const { status, stdout } = spawnSync("pg_config", ["--bindir"], { encoding: "utf8" });
  const programs = status === 0 ? stdout.trim() : undefined;
  return programs !== undefined && needed.every((name) => existsSync(join(programs, name))) ? programs : undefined;
}

/** A dump of a database, which may be put back while services are connected. */
export function dumped(programs: string, url: string): { putBack(): void } {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-dump-")), "kms.sql");
  const run = (name: string, ...args: string[]) => execFileSync(join(programs, name), args, { stdio: "pipe" });
  run("pg_dump", "--clean", "--if-exists", `--file=${file}`, url);
  return {
    putBack: () => void run("psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-1", `--file=${file}`, url),
  };
}
