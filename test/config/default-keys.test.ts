/** When a service without settings has a data directory, and what that means for every other service. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import {
  directory,
  type Env,
  launchedWith,
  load,
  problemsOf,
  production,
  withTexts,
} from "../support/config-fixture.ts";

const notice = /^The local master key lies beside the store, in the data directory/;

function loadIn(cwd: string, env: Env = {}) {
  return withTexts(loadConfig({ env, cwd, launch: launchedWith(env) }));
}

/** A working directory with a data directory in it. */
function used(): string {
  const cwd = directory();
  mkdirSync(join(cwd, "fluo-kms-data"));
  writeFileSync(join(cwd, "fluo-kms-data", ".fluo-kms-data"), "");
  return cwd;
}

describe("without a setting for keys", () => {
  it("they are in a directory of the working directory, under a master key beside them, with a notice", () => {
    const cwd = directory();
    const { dataDirectory, provider, store, warnings, faults } = loadIn(cwd);
    const path = join(cwd, "fluo-kms-data");
    const [database, masterKey] = [join(path, "kms.db"), join(path, "master.key")];
    expect(dataDirectory).toEqual({ directory: path, database, masterKey });
    expect(provider).toEqual({ name: "local", masterKeyFile: masterKey });
    expect(store).toMatchObject({ name: "sqlite", file: database });
    expect(warnings[0]).toMatch(notice);
    expect(faults).toEqual([]);
  });

  it("the directory is where a setting says", () => {
    const { dataDirectory } = load({}, "fluo.kms.data-directory=/var/lib/kms");
    expect(dataDirectory!.directory).toBe("/var/lib/kms");
    const cwd = directory();
    expect(loadIn(cwd, { FLUO_KMS_DATA_DIRECTORY: "keys" }).store).toMatchObject({ file: join(cwd, "keys", "kms.db") });
  });

  it("the directory is none that only a shell would find", () => {
    expect(problemsOf(() => load({ FLUO_KMS_DATA_DIRECTORY: "~/keys" }))).toBe(
      "fluo.kms.data-directory (environment FLUO_KMS_DATA_DIRECTORY): must be a path without ~, which only shells write out",
    );
  });

  it("other settings of the store count", () => {
    const { store, backupIntervalMs } = load({ FLUO_KMS_BACKUP_INTERVAL: "1h" }, "fluo.kms.sqlite.max-log=64MiB");
    expect(store).toMatchObject({ name: "sqlite", maxLogBytes: 64 * 2 ** 20 });
    expect(backupIntervalMs).toBe(3_600_000);
    expect(load({ FLUO_KMS_FILES_GROUP_READABLE: "true" }).provider).toMatchObject({ groupReadable: true });
  });

  it("profile prod refuses it", () => {
    const { FLUO_KMS_PROVIDER: _, AWS_KMS_MASTER_KEY_ID: __, ...env } = production;
    const cwd = directory({ "policy.yaml": "" });
    expect(problemsOf(() => loadIn(cwd, env))).toMatch(/^fluo\.kms\.provider: local is for development; /m);
  });
});

describe("every other service", () => {
  const key = "fluo.kms.local.master-key-file=master.key";

  it.each([
    ["fluo.kms.provider=local", "memory", undefined],
    ["fluo.kms.store=memory", "memory", undefined],
    ["fluo.kms.sqlite.file=kms.db", "memory", undefined],
    [key, "sqlite", "fluo-kms.db"],
    [`${key}\nfluo.kms.store=memory`, "memory", undefined],
    [`${key}\nfluo.kms.sqlite.file=kms.db`, "sqlite", "kms.db"],
    ["fluo.kms.provider=aws\naws.kms.master-key-id=alias/x", "sqlite", "fluo-kms.db"],
    ["fluo.kms.provider=aws\naws.kms.master-key-id=alias/x\nfluo.kms.store=memory", "memory", undefined],
  ])("has the defaults that it had: %j", (properties, name, file) => {
    const cwd = directory({ "application.properties": properties });
    const { dataDirectory, store, warnings } = loadIn(cwd);
    expect(dataDirectory).toBeUndefined();
    expect(store).toMatchObject({ name, ...(file !== undefined && { file: join(cwd, file) }) });
    expect(warnings.join("\n")).not.toMatch(notice);
  });

  it("has no master key made for PostgreSQL", () => {
    const env = { FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: "postgres://kms@127.0.0.1/kms" };
    const found = problemsOf(() => loadIn(used(), { ...env, FLUO_KMS_DATA_DIRECTORY: "keys" }));
    expect(found).toMatch(
      /^fluo\.kms\.store: postgres outlives a restart and the local master key in memory does not: /,
    );
  });

  it("is told that the setting has no effect", () => {
    const { warnings } = load({ FLUO_KMS_DATA_DIRECTORY: "keys", FLUO_KMS_STORE: "memory" });
    expect(warnings).toContain("fluo.kms.data-directory has no effect beside fluo.kms.store.");
    expect(load({ FLUO_KMS_STORE: "memory" }).warnings.join()).not.toContain("data-directory");
  });

  it("begins no new store beside keys in a data directory, unless a setting says so", () => {
    const cwd = used();
    const [database, begun] = [join(cwd, "fluo-kms-data", "kms.db"), join(cwd, "fluo-kms.db")];
    const env = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: "other.key" };
    const masterKey = join(cwd, "fluo-kms-data", "master.key");
    expect(problemsOf(() => loadIn(cwd, env))).toBe(
      `fluo.kms.sqlite.file: is not set, and there is no ${begun}, but keys are in ${database}, under ${masterKey}; set it to ${database} to go on with them, or to ${begun} for a new store`,
    );
    for (const file of [database, begun]) {
      expect(loadIn(cwd, { ...env, FLUO_KMS_SQLITE_FILE: file }).store).toMatchObject({ file });
    }
    writeFileSync(begun, "");
    expect(loadIn(cwd, env).store).toMatchObject({ file: begun });
    expect(loadIn(used(), { FLUO_KMS_STORE: "memory" }).store).toEqual({ name: "memory" });
  });
});
