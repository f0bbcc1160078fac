/** Who keeps a log from being emptied that has become too large. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { keptLogBytes } from "../../../src/store/sqlite/file-connection.ts";
import { openSqlite } from "../../../src/store/sqlite/open.ts";
import { logOf } from "../../../src/store/sqlite/log-size.ts";
import { use } from "../../support/examined.ts";
import { addKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

it("has its size, and a remark past its limit that names the process that reads", async () => {
  const { file, open } = sqliteBackdoor();
  const store = await unlocked(await open());
  onTestFinished(() => store.close());
  await addKey(store);
  const log = logOf(file, 1_000);
  expect(store.log?.bytes()).toBe(log.bytes());
  expect(log.bytes()).toBeGreaterThan(1_000);
  expect(store.log?.remark()).toBeUndefined();
  expect(log.remark()).toContain("another process, a backup or check perhaps, reads what is older");

  const reader = await reading(file);
  const who = existsSync("/proc/locks") ? `process ${reader.pid}` : "another process";
  expect(log.remark()).toContain(who);
});

it("is within its limit again once the reader has gone", async () => {
  const { file, sql } = sqliteBackdoor();
  const store = await unlocked(await openSqlite({ name: "sqlite", file, maxLogBytes: keptLogBytes }, realTime));
  onTestFinished(() => store.close());
  const record = await addKey(store);
  const append = () => store.appendAudit([use(record)]);
  const reader = await reading(file);
  await sql("create table ballast as select zeroblob(?1) as bytes", 2 * keptLogBytes);
  expect(store.log!.bytes()).toBeGreaterThan(2 * keptLogBytes);
  expect(store.log?.remark()).toBeDefined();
  reader.kill();
  await once(reader, "exit");
  for (let batch = 0; batch < 20 && store.log!.remark() !== undefined; batch += 1) await append();
  expect(store.log?.bytes()).toBe(keptLogBytes);
});

it("of a store that has none has no size and no remark", () => {
  const log = logOf("/nonexistent/kms.db", 0);
  expect([log.bytes(), log.remark()]).toEqual([0, undefined]);
});

/** Another process in the middle of a read. */
async function reading(file: string) {
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const db = new DatabaseSync(${JSON.stringify(file)}, { readOnly: true });
    db.exec("begin");
    db.prepare("select count(*) from kms_keys").get();
    process.stdout.write("reads");
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill());
  await once(child.stdout, "data");
  return child;
}
