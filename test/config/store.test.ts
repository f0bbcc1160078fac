import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { newAuthority } from "../support/pki.ts";
import { directory, type Env, load, problemsOf, launchedWith, withTexts } from "../support/config-fixture.ts";

const keyFile: Env = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: "master.key" };
const url = "postgres://kms:hunter2@db.example.com:5432/kms?sslmode=verify-full";

const postgres = { ...keyFile, FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: url };

describe("the store", () => {
  const sqlite = (file: string) => ({ name: "sqlite", file, maxLogBytes: 2 ** 30, migrate: "auto" });

  it("is in memory where the master key is, else SQLite from where the service runs", () => {
    expect(load({ FLUO_KMS_PROVIDER: "local" }).store).toEqual({ name: "memory" });
    const cwd = directory();
    expect(loadConfig({ env: keyFile, cwd }).store).toEqual(sqlite(join(cwd, "fluo-kms.db")));
    writeFileSync(join(cwd, "application.properties"), "fluo.kms.sqlite.file=data/kms.db");
    const { store, warnings } = withTexts(loadConfig({ env: keyFile, cwd, launch: launchedWith(keyFile) }));
    expect(store).toEqual(sqlite(join(cwd, "data", "kms.db")));
    expect(warnings).toEqual([expect.stringMatching(/^Authentication is none/)]);
  });

  it("is in memory beside a key file where it is asked for, with a warning", () => {
    const { store, warnings } = load({ ...keyFile, FLUO_KMS_STORE: "memory" });
    expect(store).toEqual({ name: "memory" });
    expect(warnings[0]).toMatch(/^The store is in memory: key records are lost on restart/);
  });

  it("of SQLite has a size of its log to tell of", () => {
    expect(load(keyFile, "fluo.kms.sqlite.max-log=64MiB").store).toMatchObject({ maxLogBytes: 64 * 2 ** 20 });
    for (const text of ["0MiB", "7MiB", "1", "1GB", "1.5GiB"]) {
      expect(() => load(keyFile, `fluo.kms.sqlite.max-log=${text}`)).toThrow(/fluo\.kms\.sqlite\.max-log .*: must be/);
    }
  });

  it("is brought to this release by a start, or not", () => {
    expect(load(keyFile, "fluo.kms.store.migrate=never").store).toMatchObject({ migrate: "never" });
    expect(() => load(keyFile, "fluo.kms.store.migrate=no")).toThrow(/available: auto, never/);
  });

  /** Beside a file with a password, and one with authorities. */
  const inPostgres = (settings: Env) => {
    const cwd = directory({ secret: "hunter2", "ca.pem": newAuthority().pem });
    const named = Object.entries(settings).map(([name, value]) => [`FLUO_KMS_POSTGRES_${name}`, value]);
    return { cwd, load: () => loadConfig({ env: { ...postgres, ...Object.fromEntries(named) }, cwd }) };
  };

  it("is a PostgreSQL database, whose password and authorities may be in files", () => {
    expect(load(postgres).store).toEqual({ name: "postgres", url, maxConnections: 8, migrate: "auto" });
    expect(load(postgres, "fluo.kms.postgres.max-connections=20").store).toMatchObject({ maxConnections: 20 });
    const noPassword = url.replace(":hunter2", "");
    const { cwd, load: loadFiles } = inPostgres({ URL: noPassword, PASSWORD_FILE: "secret", CA: "ca.pem" });
    expect(loadFiles().store).toMatchObject({
      url: noPassword,
      passwordFile: join(cwd, "secret"),
      ca: join(cwd, "ca.pem"),
    });
  });

  const kms = "postgres://kms@h/kms";
  const mustBe = /must be/;
  it.each<[what: string, settings: Env, problem: RegExp]>([
    ["two passwords", { PASSWORD_FILE: "secret" }, /^fluo\.kms\.postgres\.password-file: is set, and .* set one$/],
    ["two of them", { URL: `${kms}?password=hunter2`, PASSWORD_FILE: "secret" }, /has a password; set one$/],
    ["no such file", { URL: kms, PASSWORD_FILE: "none" }, /password-file: .*none cannot be read \(ENOENT\)/],
    ["its password for a file", { URL: "postgres://h/kms", PASSWORD_FILE: "s.hunter2hunter2hunter2h" }, mustBe],
    ["authorities that nobody asks", { URL: kms, CA: "ca.pem" }, /ca: is set, and .*sslmode=verify-full/],
    ["authorities, and require", { URL: `${kms}?sslmode=require`, CA: "ca.pem" }, /sslmode=verify-full/],
    ["authorities twice", { URL: `${url}&sslrootcert=x`, CA: "ca.pem" }, /ca: is set, and .* has sslrootcert/],
    ["no certificate", { CA: "secret" }, /ca: .*secret must hold certificates of authorities, in PEM/],
    ...[
      "mysql://u:hunter2@h/d",
      "postgres:u:hunter2@h",
      "postgresql://u:hunter2@h:port/d",
      "postgres://u:hunter2%@h",
    ].map((wrong): [string, Env, RegExp] => [wrong, { URL: wrong }, /must be a URL such as postgres:\/\//]),
    ["localhost", { URL: "localhost" }, /^fluo\.kms\.postgres\.url \(environment \w+_URL\): must be a URL such as .*$/],
    ["no URL", { URL: "" }, /^fluo\.kms\.postgres\.url: is missing, .*$/],
  ])("is not PostgreSQL with %s, which is not shown", (_what, settings, problem) => {
    const problems = problemsOf(inPostgres(settings).load);
    expect(problems).toMatch(problem);
    expect(problems).not.toContain("hunter2");
  });

  it.skipIf(process.platform === "win32")(
    "is not PostgreSQL by a password file for everybody in production, but for a warning elsewhere",
    () => {
      const cwd = directory({ secret: "hunter2" });
      const file = { FLUO_KMS_POSTGRES_URL: "postgres://kms@localhost/kms", FLUO_KMS_POSTGRES_PASSWORD_FILE: "secret" };
      const inProfile = (profile: string) => () =>
        withTexts(loadConfig({ env: { ...postgres, ...file, FLUO_KMS_PROFILE: profile }, cwd }));
      const open =
        /^fluo\.kms\.postgres\.password-file:? \S+secret can be read by every user of this machine; chmod o= it/m;
      for (const [mode, isOpen] of [
        [0o644, true],
        [0o640, false],
      ] as const) {
        chmodSync(join(cwd, "secret"), mode);
        expect(open.test(problemsOf(inProfile("prod")))).toBe(isOpen);
        expect(open.test(inProfile("dev")().warnings.join("\n"))).toBe(isOpen);
      }
    },
  );

  describe("in profile prod", () => {
    const problem = "fluo.kms.postgres.url: leads beyond this machine without sslmode=verify-full";
    const problemsWith = (text: string, profile = "prod") =>
      problemsOf(() => load({ FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: text, FLUO_KMS_PROFILE: profile }));

    it.each([
      "postgres://kms@db.example.com/kms",
      "postgres://kms@10.0.0.1/kms?sslmode=require",
      "postgres://kms@10.0.0.1/kms?sslmode=no-verify",
      "postgres://kms@[2001:db8::1]/kms",
      "postgres://kms@db.example.com/kms?sslmode=verify-full&sslmode=disable",
      "postgres://kms@localhost/kms?host=db.example.com",
      "postgres:///kms", // the host is what PGHOST says
    ])("is not PostgreSQL by %s", (text) => {
      expect(problemsWith(text)).toContain(problem);
      expect(problemsWith(text, "staging")).not.toContain(problem);
    });

    it.each([
      "postgres://kms@db.example.com/kms?sslmode=verify-full",
      "postgres://kms@localhost/kms",
      "postgres://kms@127.0.0.1:5433/kms?sslmode=disable",
      "postgres://kms@[::1]/kms",
      "postgres://%2Fvar%2Frun%2Fpostgresql/kms",
      "postgres:///kms?host=/var/run/postgresql",
    ])("may be PostgreSQL by %s", (text) => {
      expect(problemsWith(text)).not.toContain(problem);
    });
  });

  it.each(["sqlite", "postgres"])("is not %s with a master key that is lost before it", (name) => {
    const problems = problemsOf(() => load({ FLUO_KMS_STORE: name, FLUO_KMS_POSTGRES_URL: url }));
    expect(problems).toMatch(new RegExp(`^fluo\\.kms\\.store: ${name} .*; set fluo\\.kms\\.local\\.master-key-file$`));
  });

  it("warns of another store's settings, without their values", () => {
    const sqlite = load(keyFile, `fluo.kms.postgres.url=${url}\nfluo.kms.postgres.max-connections=8\n`);
    expect(sqlite.warnings.slice(-2)).toEqual([
      "fluo.kms.postgres.url has no effect with store sqlite.",
      "fluo.kms.postgres.max-connections has no effect with store sqlite.",
    ]);
    expect(load({}, "fluo.kms.sqlite.file=x").warnings.at(-1)).toBe(
      "fluo.kms.sqlite.file has no effect with store memory.",
    );
  });
});

describe("the interval of backups", () => {
  it("is a duration, and none unless it is set", () => {
    expect(load(keyFile).backupIntervalMs).toBe(0);
    expect(load(keyFile, "fluo.kms.backup.interval=1h").backupIntervalMs).toBe(3_600_000);
    expect(load({ ...keyFile, FLUO_KMS_BACKUP_INTERVAL: "1d" }).backupIntervalMs).toBe(86_400_000);
    expect(load(keyFile, "fluo.kms.backup.interval=0s").backupIntervalMs).toBe(0);
    for (const text of ["0", "91d", "-1h", "hourly"]) {
      const problems = problemsOf(() => load(keyFile, `fluo.kms.backup.interval=${text}`));
      expect(problems).toMatch(/^fluo\.kms\.backup\.interval .*: must be a duration from 0s to 90d/);
    }
  });

  it("means nothing for a store that cannot be backed up, which is said", () => {
    const { backupIntervalMs, warnings } = load({ FLUO_KMS_STORE: "memory" }, "fluo.kms.backup.interval=1h");
    expect(backupIntervalMs).toBe(0);
    expect(warnings.at(-1)).toBe("fluo.kms.backup.interval has no effect with store memory.");
    expect(load(keyFile, "fluo.kms.backup.interval=1h").warnings.join()).not.toContain("backup");
  });
});

describe("backups by the service itself", () => {
  const [cron, directory] = ["fluo.kms.backup.cron=0 0 * * * ?", "fluo.kms.backup.directory=backups"];

  it("are of a SQLite store, with a time and a directory", () => {
    const { plannedBackups } = load(keyFile, `${cron}\n${directory}\nfluo.kms.backup.keep=5\n`);
    expect(plannedBackups).toMatchObject({ cron: "0 0 * * * ?", keep: 5 });
    expect(plannedBackups.directory).toMatch(/^\/.*\/backups$/);
    const problems = problemsOf(() => load(keyFile, "fluo.kms.backup.cron=hourly\nfluo.kms.backup.keep=0"));
    expect(problems).toMatch(/fluo\.kms\.backup\.cron .*: must be a Quartz expression/);
    expect(problems).toMatch(/fluo\.kms\.backup\.keep .*: must be a whole number from 1 to 10000/);
  });

  it("need both", () => {
    expect(problemsOf(() => load(keyFile, cron))).toContain("is missing, and fluo.kms.backup.cron is set");
    expect(problemsOf(() => load(keyFile, directory))).toContain("is missing, and fluo.kms.backup.directory is set");
  });

  it("are refused with another store, with what to use instead", () => {
    const postgres = `fluo.kms.store=postgres\nfluo.kms.postgres.url=${url}\n`;
    for (const setting of [cron, directory, `${cron}\n${directory}`]) {
      const problems = problemsOf(() => load(keyFile, `${postgres}${setting}`));
      expect(problems).toContain("is for the store sqlite, and fluo.kms.store is postgres; run fluo-kms backup");
      expect(problems).toContain("by a timer or a CronJob");
      expect(problemsOf(() => load({ FLUO_KMS_STORE: "memory" }, setting))).toContain(
        "the store memory ends with its process",
      );
    }
    const { warnings } = load(keyFile, `${postgres}fluo.kms.backup.keep=5`);
    expect(warnings).toContain("fluo.kms.backup.keep has no effect with store postgres.");
  });
});
